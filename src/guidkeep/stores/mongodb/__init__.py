"""The store in MongoDB, or FerretDB."""
