"""Tests of `evals.bench.serving`."""
