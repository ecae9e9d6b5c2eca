"""Tests that operations through several nodes are linearizable, with expiry.

*How it works.* Clients do concurrent operations on few GUIDs, through three nodes that share one
cache and one store. Each client records its requests, their times and their responses (`workload`,
`operations`). Meanwhile a nemesis strikes: it kills, stops or cuts off a part, flushes the cache,
or the nodes' clocks differ (`nemeses`). At the end the history of each GUID is judged alone,
because GUIDs are independent of each other (`judge`).

*The judgement.* `specification` defines what one record may do, one operation after another.
`search` looks for an order of the operations in which each takes effect between its request and its
response and all responses are right (Wing and Gong). If there is none, a promise was broken, and
`explain` reduces the history to the operations that show it. Three points go beyond the textbook:

- *Expiry.* A node decides by its own clock whether a record is live. So each operation knows the
  interval of that clock, and both results are right only if the record expired in that interval.
- *Outcomes in doubt.* A write without a response has happened, happens later, or never. The search
  may let it take effect at any time after its request, or leave it out.
- *Promises weaker than linearizability*, while the cache is cut off or after a flush: `promises`
  defines how old a response may be, from which nodes, and for how long. Writes that were done are
  always held to the strict promise, and so are reads outside of that time.

*Where it runs.* Under virtual time (`local`): registries in one process over a store in memory,
with the cache in memory or a real Redis. Delays between all steps follow from a seed, which repeats
a run exactly. And for real (`cluster`, `campaign`): `guidkeep serve` in processes of its own with
real servers, and a proxy on each connection between them. There a seed repeats the clients'
requests, but not the timing.

*Why to believe it.* Faults are planted in the registry, in the cache and in its scripts (`faults`),
and each must be caught. The search is compared with one without short cuts (`test_naively`), and
run on histories that are right or wrong by construction (`test_search`).

*The limits.* A history without a violation proves nothing about other histories. No violation in n
operations means, with 95 % confidence, a rate below 3/n, and only for this load. Lists are not
checked, because they are not operations on one record. ETags are checked by If-Match, and for
uniqueness. Some histories with many outcomes in doubt take too long to decide; that counts as a
failure, not as a pass.
"""
