"""The steps of `guidkeep.caches` as scripts that Redis runs: one call, one key, one round trip.

The scripts are put together from the `.lua` files beside this one.

A key holds what MessagePack makes of these, in this order, and trailing ones that are nothing are
left out:

    generation  whose value it is (below)
    until       Unix time, by the nodes' clocks, at which the entry ends
    due         milliseconds, by Redis' clock, at which the entry ends
    entry       the record, as `entries` writes it
    reader      the token of the reader's lease
    reader_due  milliseconds, by Redis' clock, at which that lease is taken to be forgotten
    last        the token of the writer that leased last; empty: whoever did is overtaken
    writers     the standing writers' leases, each token with its `due`

What is past its due, of another generation, or none of this, counts as nothing, and the next change
of the key leaves it out. The key itself ends when the last thing in it does.

*Generations.* A Redis that was started anew from its files, or a replica that took its master's
place, may hold entries that had been dropped, and lacks leases that had been given. So whatever
it holds from before counts as nothing, as if it had been flushed. A generation is one process
(`run_id`) during one time of being the master (`master_replid`, which changes whenever a replica
is promoted). It is part of the text of the scripts, so it costs nothing a call: another process
does not know scripts of that name (NOSCRIPT). The format of what is kept is a part of it too, so
nodes of two versions may share a Redis: what one does to a key is to the others as if the key had
been flushed.

*Memory.* All but `fill` and `settle` run though Redis is full (`allow-oom`): they free memory, or
take the few bytes of a lease for its short time. `fill` and `settle` are refused then, and `unread`
and `release` do the same without an entry.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import Final

FORMAT: Final = "2"
"""Changes when the layout of a key's value does; what another one wrote counts as nothing."""

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
"""Each script's flags, and the files beside this one that it is made of, in order.

What each takes as arguments, after the key:

    peek     now: the entry if no leases stand beside it; or 0. Changes nothing; yet it is not
             flagged so, for a server that refuses writes is not the one to ask
    get      now, token: the entry; or 1, the token is now a reader's lease; or 2, another reader
             has one, and will fill; or 0, none of these
    fill     token, until, milliseconds until then, answer: 1, or 0 when the lease was gone
    unread   token: the same without an entry: gives the reader's lease back
    lease    token
    settle   token, until, milliseconds until then, answer: 1, or 0 when the lease was gone
    release  token: the same without an entry
    drop     token, or nothing: drops the entry and the reader's lease, takes the writer's lease
             back if it is there, and overtakes all writers whose leases stand: they will put
             nothing in. As if a writer had leased and given back at once
"""

_HERE = files("guidkeep.caches.redis")
_BODIES = {
    name: (flags, "".join((_HERE / f"{part}.lua").read_text("utf-8") for part in parts))
    for name, (flags, *parts) in _SCRIPTS.items()
}


def generation_of(run_id: str, replication_id: str) -> str:
    """The name of a generation: a few letters that no other has."""
    return FORMAT + sha256(f"{run_id} {replication_id}".encode()).hexdigest()[:20]


def texts(generation: str, lease_time: float) -> dict[str, str]:
    """The scripts of that generation by their names; `lease_time` is in seconds."""
    values = {"generation": generation, "lease_time": round(lease_time * 1000)}
    return {
        name: f"#!lua flags={flags}\n{body % values}" for name, (flags, body) in _BODIES.items()
    }
