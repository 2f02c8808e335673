"""Tests of `indexes.encoders`."""
