"""The attention kernels beside FlashAttention 3: times, errors, and a plot."""
