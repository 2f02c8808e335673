"""Tests of `indexes.text`."""
