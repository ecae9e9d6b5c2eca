"""The running server: real processes, real sockets, real faults."""
