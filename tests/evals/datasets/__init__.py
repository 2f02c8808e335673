"""Tests of `evals.datasets`."""
