"""The local cluster: `make cluster`."""
