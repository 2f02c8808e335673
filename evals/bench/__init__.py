"""Benchmarks: one file a benchmark, each prints the command's commit, hardware and sample size with its figures."""
