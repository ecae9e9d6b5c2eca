"""How fast Guidkeep is: `python -m benchmarks`, or `make bench`.

Everything is measured in one run on one machine, side by side with others: nginx answering a
constant, the practical limit of this machine; Webdis + Redis, a key-value store over HTTP written
in C; and `reference/`, the service that the specification suggests, on Tornado, MariaDB and Redis.

Servers run on one core, the generator of the load on another. That holds for Redis, MariaDB and
PostgreSQL too: they share the servers' core with the service that stands before them, whoever the
contestant is, for their work is part of what an answer costs, and the generator stays alone. They
run as they ship: a commit is on the disk when it is answered (`innodb_flush_log_at_trx_commit=1`,
`fsync=on`), and a Redis that is a cache keeps nothing. Contestants take turns, several rounds of
them, so that whatever else the machine does falls on all alike; who is not at turn has nothing to
do.

Absolute figures belong to the machine; read the ratios. A ratio is taken within a round, from
two measurements that lie seconds apart, and the table shows the median of the rounds.

What is here:

    scenarios/    one file a question: reads, writes, growth, sweep, start, memory, redis, engines,
                  herd, bulk; hostile, which is a folder
    reference/    the service that the specification suggests
    servers.py    starts what is measured
    load.py       wrk and wrk.lua: as much load as goes;  paced.py: requests at a fixed rate
    databases.py  large databases, filled by SQL and kept between runs
    results.py    figures, targets, rows;  report.py, plots.py: what is made of them
    profiling.py  where the server's time goes, for when a figure falls short

Nothing here asserts: it reports.
"""
