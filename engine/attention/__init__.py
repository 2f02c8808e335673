"""Attention over centred FP8 pages: where keys and values lie, and the kernels that write and read them.

Needs torch and Triton alone, so that it runs on a bare GPU machine. `docs/kernels.md` has the mathematics, the
layout drawn, and what each version of the kernels measured.
"""
