"""Shows by test that what clients see through several nodes is linearizable, with expiry.

*How it works.* Clients do operations on few GUIDs, all at once, through three nodes that share one
cache and one store. Each notes what it asked for, when, and what it was told (`workload`,
`operations`). Meanwhile a nemesis strikes: it kills, stops or cuts off a part, makes the cache
forget, or the nodes' clocks differ (`nemeses`). When all is over the history of each GUID is judged
alone, for GUIDs have nothing to do with each other (`judge`).

*The judgement.* `specification` says what one record may do, one operation after another. `search`
looks for an order of the operations in which each takes effect between its question and its answer
and all answers are right: Wing and Gong's. If there is none a promise was broken, and `explain`
cuts the history down to what shows that. Three things make it more than the textbook's:

- *Expiry.* A node decides by its own clock whether a record is live. So each operation knows what
  that clock may have said, and either answer is right only if the record ended in between.
- *Outcomes that nobody knows.* A write whose answer did not come has happened, happens later, or
  never: the search may let it take effect at any time after its question, or leave it out.
- *Promises that are less than linearizability*, while the cache is cut off or has forgotten:
  `promises` says from when on such an answer may date, and of which nodes and for how long. Writes
  that were done are held to the strict promise always, reads outside that time too.

*Where it runs.* Under virtual time (`local`): registries in one process over a store in memory, and
the cache in memory or a real Redis; delays between all steps come from a seed, which repeats a run
exactly. And on the real thing (`cluster`, `campaign`): `guidkeep serve` in processes of their own
with real servers, each way between them by a proxy. There a seed repeats what clients ask for, but
not what the machine makes of it.

*Why it is to be believed.* Faults are planted in the registry, in the cache and in its scripts
(`faults`); each must be caught. The search is compared with one that knows no short cut
(`test_naively`), and with histories that are right, or wrong, by the way they are made
(`test_search`).

*The limits.* A history without a violation proves nothing of those not seen: none in n operations
means, with 95 % confidence, fewer than 3/n, and that for this load alone. Lists are not checked:
they are no operation on one record. ETags are checked by If-Match, and that each stands for one
record alone. Some histories with many open outcomes take too long to decide; that counts as a
failure, not as a pass.
"""
