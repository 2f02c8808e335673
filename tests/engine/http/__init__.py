"""Tests of `engine.http`."""
