"""A running service: assembles the parts; its sockets, signals and workers."""
