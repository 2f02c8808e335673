"""How texts become vectors: the files of a model, their conversion, and the two ways of running it."""
