"""One connection: its bytes, its requests and responses, its limits, and hits served in place.

The class of a connection is an asyncio protocol in three layers on uvicorn's own:

- `hits`: serves a cache hit before the application is called;
- `reading`: takes one request at a time, and no more bytes than the memory budget has room for;
- `protocol`: ends connections that take too long or use too much.

`slices` and `framing` find the end of a request, `gate` limits connections, and `writing` sends
responses. `context` is the state that all connections of a server share.
"""
