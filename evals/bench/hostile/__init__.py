"""A campaign of received folders that mean harm: each variant with what must not happen. Run: `python -m` this."""
