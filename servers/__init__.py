"""The servers that tests, benchmarks and the local cluster start: real ones, on loopback.

Each runs from a data folder of its own on a free port of 127.0.0.1, and ends with the `with` block
that started it. Nothing here is part of the package that users install.
"""
