"""What attention keeps of a context, in bytes: formats of numbers, layers by kind, what requests take of a cache.

`formats.py` has bytes of a vector, `layers.py` reads a model's layers from its config, `geometry.py` adds them up.
"""
