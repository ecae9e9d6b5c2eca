"""The steps of `guidkeep.caches` as scripts that Redis runs: one call, one key, one round trip.

The scripts are put together from the `.lua` files beside this one.

The value of a key is a MessagePack sequence of these fields, in this order, without trailing empty
ones:

    generation  the generation that wrote the value (below)
    until       Unix time, by the nodes' clocks, at which the entry ends
    due         milliseconds, by Redis' clock, at which the entry ends
    entry       the record, as `entries` writes it
    reader      the token of the reader's lease
    reader_due  milliseconds, by Redis' clock, at which that lease ends
    last        the token of the writer that leased last; empty: a drop overtook it
    writers     the standing writers' leases, each token with its `due`

A field past its due, of another generation, or in another format, counts as nothing, and the next
change of the key leaves it out. The key itself expires with its last field.

*Generations.* A Redis that was restarted from its files, or a replica that took its master's place,
may hold entries that had been dropped, and lack leases that had been given. So all its values from
before count as nothing, as after a flush. A generation is one process (`run_id`) during one period
as the master (`master_replid`, which changes when a replica is promoted). It is part of the text of
the scripts, so it costs nothing per call: another process does not know scripts of that name
(NOSCRIPT). The format of the values is a part of it too, so nodes of two versions may share a
Redis: for one, a change of a key by the other is a flush of that key.

*Memory.* All scripts but `fill` and `settle` run even if Redis is full (`allow-oom`): they free
memory, or take the few bytes of a lease for its short time. A full Redis refuses `fill` and
`settle`; `unread` and `release` do the same without an entry.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import Final

FORMAT: Final = "2"
"""Changes with the layout of a key's value; a value of another format counts as nothing."""

_LOOKING = ("names", "look")
_CHANGING = ("names", "clock", "state")
_SCRIPTS = {
    "peek": ("allow-oom", *_LOOKING, "peek"),
    "get": ("allow-oom", *_LOOKING, "clock", "get"),
    "fill": ("", *_CHANGING, "fill"),
    "unread": ("allow-oom", *_CHANGING, "fill"),
    "lease": ("allow-oom", *_CHANGING, "lease"),
    "settle": ("", *_CHANGING, "settle"),
    "release": ("allow-oom", *_CHANGING, "settle"),
    "drop": ("allow-oom", *_CHANGING, "drop"),
}
"""The flags of each script, and the files beside this one that make it up, in order.

The arguments after the key, and the replies:

    peek     now: the entry if no leases stand beside it; or 0. It changes nothing, but is not
             flagged as such, so that a server that refuses writes refuses it too
    get      now, token: the entry; or 1, the token is now a reader's lease; or 2, another reader
             has one, and will fill; or 0, none of these
    fill     token, until, milliseconds until then, entry: 1, or 0 if the lease was gone
    unread   token: the same without an entry: gives the reader's lease back
    lease    token
    settle   token, until, milliseconds until then, entry: 1, or 0 if the lease was gone
    release  token: the same without an entry
    drop     token, or nothing: drops the entry and the reader's lease, takes the writer's lease
             back if it exists, and overtakes all writers whose leases stand: they will put
             nothing in. It acts as a writer that leases and gives back at once
"""

_HERE = files("guidkeep.caches.redis")
_BODIES = {
    name: (flags, "".join((_HERE / f"{part}.lua").read_text("utf-8") for part in parts))
    for name, (flags, *parts) in _SCRIPTS.items()
}


def generation_of(run_id: str, replication_id: str) -> str:
    """Returns the name of a generation, a few unique letters."""
    return FORMAT + sha256(f"{run_id} {replication_id}".encode()).hexdigest()[:20]


def texts(generation: str, lease_time: float) -> dict[str, str]:
    """Returns the scripts of a generation by name; `lease_time` is in seconds."""
    values = {"generation": generation, "lease_time": round(lease_time * 1000)}
    return {
        name: f"#!lua flags={flags}\n{body % values}" for name, (flags, body) in _BODIES.items()
    }
