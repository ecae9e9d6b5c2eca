"""How fast Guidkeep is: `python -m benchmarks`, or `make bench`.

Guidkeep and its contestants are measured in one run on one machine: nginx with a constant response,
the practical limit of this machine; Webdis + Redis, a key-value store over HTTP written in C; and
`reference/`, the service that the specification suggests, on Tornado, MariaDB and Redis.

Servers run on one core, the load generator on another. Redis, MariaDB and PostgreSQL share the
servers' core with the service in front of them, for every contestant: their work is part of the
cost of a response, and the generator has its core to itself. They run with their defaults: a commit
is on disk before it is acknowledged (`innodb_flush_log_at_trx_commit=1`, `fsync=on`), and a Redis
that is a cache keeps nothing on disk. Contestants take turns for several rounds, so that other
load on the machine affects all of them alike; the others are idle meanwhile.

Absolute figures depend on the machine; compare the ratios. A ratio is taken within a round, from
two measurements seconds apart, and the table shows the median of the rounds.

The files:

    scenarios/    one file for each question: reads, writes, growth, sweep, start, memory, redis,
                  engines, herd, bulk; hostile, which is a folder
    reference/    the service that the specification suggests
    servers.py    starts the contestants
    load.py       wrk and wrk.lua: full load;  paced.py: requests at a fixed rate
    databases.py  large databases, filled by SQL and kept between runs
    results.py    figures, targets, rows;  report.py, plots.py: tables and plots of them
    profiling.py  where the server's time goes, to explain a figure below its target

Nothing here asserts; the benchmarks report.
"""
