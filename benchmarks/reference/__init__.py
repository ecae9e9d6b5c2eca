"""The service that the specification suggests: Tornado, MySQL (MariaDB), Redis.

It is what Guidkeep is compared with where a store and a Redis take part. It does what was asked
for, create, read, update and delete, with the validation and the answers of the specification,
and as well as these parts allow: asynchronous throughout, on uvloop, with Cython's driver for
MariaDB and C's parser for Redis, a pool of connections that stay open, one statement a
transaction, and the answer itself in the cache, put there by writes too.

What it does not do is what makes Guidkeep: its cache can keep what a slow reader puts back after
a write, two updates at once can lose one, and what has expired stays in the table.

    records.py    validation; MariaDB and Redis
    service.py    the handlers

`python -m benchmarks.reference --port 8081 --store mysql://user@host/database --cache redis://host`
runs it.
"""
