"""Tests of `indexes.loaders.pdf`."""
