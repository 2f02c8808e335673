"""What a reader of a document does not see, for every format: reasons, characters, colours, style sheets."""
