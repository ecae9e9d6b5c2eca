"""A running service: its parts put together, its sockets, signals and workers."""
