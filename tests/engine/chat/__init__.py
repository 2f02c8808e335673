"""Tests of `engine.chat`."""
