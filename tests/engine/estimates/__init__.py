"""Tests of `engine.estimates`."""
