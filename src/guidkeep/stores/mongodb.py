"""Records in mongodb."""
