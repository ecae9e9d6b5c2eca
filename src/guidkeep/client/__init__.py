"""The client: the registry's operations over HTTP, for programs and for the command line.

`operations.py` says what is asked and what the responses mean, `retry.py` when a request is sent
again; neither does I/O. `synchronous.py` and `asynchronous.py` do nothing else.
"""

from guidkeep.client.asynchronous import AsyncClient
from guidkeep.client.models import Day, Line, Page, Record, Stats, Written
from guidkeep.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "Day", "Line", "Page", "Record", "Stats", "Written"]
