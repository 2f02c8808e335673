"""Tests of `evals.bench`."""
