"""Tests of KV arithmetic."""
