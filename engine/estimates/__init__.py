"""What a model needs and how long a prompt takes, by arithmetic and by what was measured; nothing here runs a model."""
