"""A replacement for curl with the options that the docs use, for machines without curl.

The docs use curl, and run with it where it is installed; `test_examples.py` checks that this one
prints the same.
"""

from __future__ import annotations

import argparse
import http.client
import sys
from urllib.parse import urlsplit


def main() -> None:
    """Sends one request and prints the response."""
    options = _options().parse_args()
    if options.data_binary is not None:
        from_input = options.data_binary == "@-"
        options.data = sys.stdin.buffer.read() if from_input else options.data_binary
    url = urlsplit(options.url)
    method = "HEAD" if options.head else "GET" if options.data is None else "POST"
    headers = {"User-Agent": "curl", "Accept": "*/*"}
    if options.data is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    for line in options.header:
        name, _, value = line.partition(":")
        headers[name] = value.strip()
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    target = url.path + (f"?{url.query}" if url.query else "")
    connection.request(options.request or method, target, options.data, headers)
    answer = connection.getresponse()
    if options.include or options.head:
        sys.stdout.write(f"HTTP/1.1 {answer.status} {answer.reason}\r\n")
        sys.stdout.write("".join(f"{name}: {value}\r\n" for name, value in answer.getheaders()))
        sys.stdout.write("\r\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.read())
    connection.close()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("-s", "--silent", action="store_true")
    parser.add_argument("-i", "--include", action="store_true")
    parser.add_argument("-I", "--head", action="store_true")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data")
    parser.add_argument("--data-binary")
    parser.add_argument("url")
    return parser


if __name__ == "__main__":
    main()
