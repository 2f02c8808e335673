"""Tests of `indexes.files`."""
