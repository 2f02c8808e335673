"""Tests of `indexes.ingest`."""
