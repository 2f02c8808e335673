"""Model names → folders of weights: found, fetched, converted, and refused where they are more than data."""
