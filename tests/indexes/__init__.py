"""Tests of `indexes`."""
