"""One connection: its bytes, its requests, its limits, and the short way of a hit."""
