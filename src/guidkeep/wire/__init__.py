"""The little of HTTP that more rooms than `http/` need.

The client reads the problems and media types that the service sends. The settings name hosts and
origins, in the form in which requests are compared with them.
"""
