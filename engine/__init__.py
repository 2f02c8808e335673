"""engine knows tokens: prompts in, completions out, and what the KV cache holds. Imports none of the other rooms."""
