"""Queries → ranked passages and documents, over one state of a collection."""
