"""Batches: operations that travel together, because a batch costs about as much as one operation.

`Batcher` decides who waits, when a batch leaves and what becomes of its operations. A runner runs
the batch: `AsyncioRunner` over asyncio, as servers are asked, or `ThreadRunner` on a thread, as
SQLite is. An `Outcome` is the future of one operation.
"""
