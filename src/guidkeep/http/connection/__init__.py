"""One connection: its bytes, its requests and responses, its limits, and hits served in place.

The class of a connection is an asyncio protocol in three layers on uvicorn's own:

- `hits`: serves a cache hit before the application is called;
- `reading`: takes one request at a time, and no more bytes than the memory budget has room for;
- `protocol`: ends connections that take too long or want too much.

`slices` and `framing` say where a request ends, `gate` who may connect, `writing` how a response is
sent. `context` is what all connections of a server share.
"""
