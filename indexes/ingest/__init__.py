"""One indexing run: which files there are, which changed, and their way into the database."""
