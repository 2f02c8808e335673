"""The collection's SQLite database: its schema, its tables with checksums, whose it is, opening and creating it."""
