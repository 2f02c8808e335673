"""Tests of `indexes.sandbox`."""
