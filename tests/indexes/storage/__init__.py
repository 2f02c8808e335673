"""Tests of `indexes.storage`."""
