"""Measures: of rankings, of answers, of texts; a missing value is NaN and never 0."""
