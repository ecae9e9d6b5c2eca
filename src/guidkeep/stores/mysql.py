"""Records in mysql."""
