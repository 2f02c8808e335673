"""Tests of the attention kernels: on a GPU where there is one, otherwise small ones through Triton's interpreter."""
