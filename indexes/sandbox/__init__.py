"""Loader processes: a pool of them, what passes between them and their parent, and what they give up first."""
