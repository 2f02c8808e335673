"""vLLM with one KV cache or another: times to the first token, decode, and a replayed day."""
