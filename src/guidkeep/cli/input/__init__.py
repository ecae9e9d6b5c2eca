"""Records read from files: their kinds, their tables and lines, and what is refused of them."""
