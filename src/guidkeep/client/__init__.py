"""The client: the registry's operations over HTTP, for programs and for the command line.

`operations.py` makes the requests and interprets the responses, `retry.py` decides when a request
is repeated; neither does I/O. `synchronous.py` and `asynchronous.py` do only I/O.
"""

from guidkeep.client.asynchronous import AsyncClient
from guidkeep.client.models import Day, Line, Page, Record, Stats, Written
from guidkeep.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "Day", "Line", "Page", "Record", "Stats", "Written"]
