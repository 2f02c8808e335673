"""Tests of rotary positions."""
