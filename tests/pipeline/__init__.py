"""Tests of questions, routes, readings and the command line."""
