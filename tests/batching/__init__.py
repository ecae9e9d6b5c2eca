"""The batcher, its runners and its outcomes."""
