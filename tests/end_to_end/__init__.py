"""The whole path as a user runs it: the real embedding model, the real vLLM, the sample data room."""
