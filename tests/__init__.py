"""Tests, at the paths of what they test."""
