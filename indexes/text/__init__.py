"""Text as indexes see it: terms, periods, chunks, and names that are safe to print."""
