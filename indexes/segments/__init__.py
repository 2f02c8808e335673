"""Index files of a run of chunks: postings and vectors, written once, mapped, merged and checked."""
