"""Tasks: one file a task, each a question set and its scores."""
