"""Indexing and searching at a hundred thousand chunks and more, beside other libraries."""
