"""Tests of `evals.scorers`."""
