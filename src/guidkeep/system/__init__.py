"""Private files, threads, environment variables, and a writer that waits for no reader.

Below all else; nothing here knows what a record is.
"""
