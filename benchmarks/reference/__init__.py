"""The service that the specification suggests: Tornado, MySQL (MariaDB), Redis.

Guidkeep is compared with it in scenarios with a store and a Redis. It has the operations create,
read, update and delete, with the validation and the responses of the specification. It is as fast
as these parts allow: asynchronous throughout, on uvloop, with a driver in Cython for MariaDB and a
parser in C for Redis, a pool of connections that stay open, one statement per transaction, and
finished responses in the cache, which writes fill too.

It lacks Guidkeep's promises: its cache can keep an old value that a slow reader puts back after a
write, one of two concurrent updates can be lost, and expired records stay in the table.

    records.py    validation; MariaDB and Redis
    service.py    the handlers

`python -m benchmarks.reference --port 8081 --store mysql://user@host/database --cache redis://host`
runs it.
"""
