"""Records in postgresql."""
