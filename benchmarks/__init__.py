"""How fast Guidkeep is: `python -m benchmarks`, or `make bench`.

Everything is measured in one run on one machine, side by side with two others: nginx answering
a constant, the practical limit of this machine, and Webdis + Redis, a key-value store over HTTP
written in C. Servers run on one core, the generator of the load on another. Contestants take
turns, several rounds of them, so that whatever else the machine does falls on all alike.

Absolute figures belong to the machine; read the ratios. A ratio is taken within a round, from
two measurements that lie seconds apart, and the table shows the median of the rounds.

What is here:

    scenarios/    one file a question: reads, writes, growth, sweep, start, memory
    servers.py    starts what is measured;  processes.py: pins, watches and ends it
    load.py       wrk and wrk.lua: as much load as goes;  paced.py: requests at a fixed rate
    databases.py  large databases, filled by SQL and kept between runs
    results.py    figures, targets, rows;  report.py, plots.py: what is made of them
    profiling.py  where the server's time goes, for when a figure falls short

Nothing here asserts: it reports.
"""
