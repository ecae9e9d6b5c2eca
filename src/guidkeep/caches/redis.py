"""Leases and entries in Redis."""
