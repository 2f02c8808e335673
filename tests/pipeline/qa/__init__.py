"""Tests of `pipeline.qa`."""
