"""Tests of `indexes.loaders.hidden`."""
