"""The operations on records: the part that is the same for every store and every cache."""
