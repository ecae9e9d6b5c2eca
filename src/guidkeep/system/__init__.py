"""Private files, threads, environment variables, the back-off, and a writer that never blocks.

Below all else; nothing here knows what a record is.
"""
