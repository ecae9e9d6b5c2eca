"""Runs the reference: `python -m benchmarks.reference`."""

from __future__ import annotations

import argparse

import uvloop

from benchmarks.reference.service import serve


def main() -> None:
    """Reads the flags and serves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--store", required=True, help="mysql://user:password@host:port/database")
    parser.add_argument("--cache", required=True, help="redis://host:port/number")
    flags = parser.parse_args()
    uvloop.run(serve(flags.port, flags.store, flags.cache))


if __name__ == "__main__":
    main()
