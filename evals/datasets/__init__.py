"""Readers of data sets, each in one place, and text generated for measurements."""
