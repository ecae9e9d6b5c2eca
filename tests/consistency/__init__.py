"""Proof by test that reads through several nodes over one cache and one store are linearizable.

Clients do operations on few GUIDs and note what they asked for, when, and what they were told
(`operations`, `workload`); a search decides whether any order of the operations explains the
answers (`search`, `specification`), under what `design.md` promises when parts fail (`promises`).
The nodes are registries in one process under virtual time (`local`), or `guidkeep serve` in
processes of their own, with servers that are killed, stopped, and cut off (`cluster`, `nemeses`).
"""
