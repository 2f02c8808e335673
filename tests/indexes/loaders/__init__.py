"""Tests of `indexes.loaders`."""
