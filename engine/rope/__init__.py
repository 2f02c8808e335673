"""Rotary positions: what a model's config says of them, the published ways to stretch them, and settings for engines.

`config.py` reads, `scaling.py` describes, `methods.py` has the arithmetic, `context.py` chooses for a length,
`settings.py` writes for vLLM, Hugging Face and llama.cpp, `search.py` finds LongRoPE's factors. docs/rope.md explains.
"""
