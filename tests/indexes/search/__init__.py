"""Tests of `indexes.search`."""
