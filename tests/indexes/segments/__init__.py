"""Tests of `indexes.segments`."""
