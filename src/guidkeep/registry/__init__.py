"""The operations on records, and what they need whatever store and cache there are."""
