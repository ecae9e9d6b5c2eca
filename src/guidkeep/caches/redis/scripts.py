"""The steps of `guidkeep.caches` as scripts that Redis runs: one call, one key, one round trip.

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
from typing import Final

FORMAT: Final = "2"
"""Changes when the layout of a key's value does; what another one wrote counts as nothing."""

_NAMES = """\
local GENERATION, LEASE_TIME = '%(generation)s', %(lease_time)d
local key = KEYS[1]
local function number(value) return tonumber(value) or 0 end
local function standings(value) return type(value) == 'table' and value or {} end
"""
_CLOCK = """\
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_LOOK = (
    _NAMES
    + """\
local value = redis.call('GET', key)
local known, generation, till, due, answer, reader, reader_due, last, writers
if value then
  known, generation, till, due, answer, reader, reader_due, last, writers =
    pcall(cmsgpack.unpack, value)
  known = known and generation == GENERATION
end
if not (known and type(answer) == 'string' and tonumber(ARGV[1]) < number(till)) then
  answer = nil
elseif not writers then
  return answer  -- it is alone: the key ends when it does
end
"""
)

_PEEK = _LOOK + "return 0\n"

_GET = (
    _LOOK
    + _CLOCK
    + """\
if known then
  if answer and ms < number(due) then return answer end
  if reader and ms < number(reader_due) then return 2 end
  for _, standing in pairs(standings(writers)) do
    if ms < number(standing) then return 0 end
  end
end
redis.call('SET', key,
  cmsgpack.pack(GENERATION, false, false, false, ARGV[2], ms + LEASE_TIME), 'PX', LEASE_TIME)
return 1
"""
)

_STATE = (
    _NAMES
    + _CLOCK
    + """\
local till, due, answer, reader, reader_due, last, writers
local value = redis.call('GET', key)
if value then
  local known, generation, a, b, c, d, e, f, g = pcall(cmsgpack.unpack, value)
  if known and generation == GENERATION then
    if type(c) == 'string' and ms < number(b) then till, due, answer = number(a), number(b), c end
    if type(d) == 'string' and ms < number(e) then reader, reader_due = d, number(e) end
    for token, standing in pairs(standings(g)) do
      if ms < number(standing) then
        last, writers = f, writers or {}
        writers[token] = standing
      end
    end
  end
end

local function put(until_, ttl, text)
  till, due, answer = tonumber(until_), ms + tonumber(ttl), text
end

local function save()
  local ends = math.max(due or 0, reader_due or 0)
  for _, standing in pairs(writers or {}) do ends = math.max(ends, standing) end
  if ends <= ms then
    redis.call('DEL', key)
  elseif writers then
    redis.call('SET', key, cmsgpack.pack(GENERATION, till or false, due or false,
      answer or false, false, false, last, writers), 'PX', ends - ms)
  elseif reader then
    redis.call('SET', key, cmsgpack.pack(GENERATION, false, false, false, reader, reader_due),
      'PX', ends - ms)
  else
    redis.call('SET', key, cmsgpack.pack(GENERATION, till, due, answer), 'PX', ends - ms)
  end
end
"""
)

_FILL = (
    _STATE
    + """\
if reader ~= ARGV[1] then return 0 end
reader, reader_due = nil, nil
if ARGV[2] then put(ARGV[2], ARGV[3], ARGV[4]) end
save()
return 1
"""
)

_LEASE = (
    _STATE
    + """\
till, due, answer, reader, reader_due = nil, nil, nil, nil, nil
writers = writers or {}
writers[ARGV[1]] = ms + LEASE_TIME
last = ARGV[1]
save()
return 1
"""
)

_SETTLE = (
    _STATE
    + """\
if writers and writers[ARGV[1]] then
  writers[ARGV[1]] = nil
  if not next(writers) then writers = nil end
  if ARGV[2] and last == ARGV[1] then put(ARGV[2], ARGV[3], ARGV[4]) end
  save()
  return 1
end
till, due, answer, reader, reader_due = nil, nil, nil, nil, nil
save()
return 0
"""
)

_DROP = (
    _STATE
    + """\
till, due, answer, reader, reader_due = nil, nil, nil, nil, nil
if writers then
  writers[ARGV[1]] = nil
  if not next(writers) then writers = nil end
end
last = ''
save()
return 1
"""
)

_BODIES = {
    "peek": ("allow-oom", _PEEK),
    "get": ("allow-oom", _GET),
    "fill": ("", _FILL),
    "unread": ("allow-oom", _FILL),
    "lease": ("allow-oom", _LEASE),
    "settle": ("", _SETTLE),
    "release": ("allow-oom", _SETTLE),
    "drop": ("allow-oom", _DROP),
}
"""What each takes as arguments, after the key:

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


def generation_of(run_id: str, replication_id: str) -> str:
    """The name of a generation: a few letters that no other has."""
    return FORMAT + sha256(f"{run_id} {replication_id}".encode()).hexdigest()[:20]


def texts(generation: str, lease_time: float) -> dict[str, str]:
    """The scripts of that generation by their names; `lease_time` is in seconds."""
    values = {"generation": generation, "lease_time": round(lease_time * 1000)}
    return {
        name: f"#!lua flags={flags}\n{body % values}" for name, (flags, body) in _BODIES.items()
    }
