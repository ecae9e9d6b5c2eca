"""Slices of received bytes: however the bytes arrive, no slice has parts of two requests."""

from __future__ import annotations

import httptools
from hypothesis import given
from hypothesis import strategies as st

from guidkeep.http.connection.framing import content_length
from guidkeep.http.connection.slices import Slices

TEXT = st.binary(max_size=12).map(lambda text: text.replace(b"\0", b"\r\n\r\n"))
CHUNKS = st.lists(TEXT.filter(len), max_size=4).map(
    lambda chunks: b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
)
TRAILERS = st.sampled_from([b"", b"X: y\r\n", b"X: y\r\nZ: \r\n"])
HEADS = st.sampled_from([b"", b"Content-Length: 0\r\n", b"X:\r\n", b"Content-Type: a/b\r\n"])
LINE = b"POST /guid HTTP/1.1\r\nHost: x\r\n"
REQUESTS = st.one_of(
    HEADS.map(lambda head: LINE + head + b"\r\n"),
    TEXT.map(lambda text: LINE + b"Content-Length: %d\r\n\r\n" % len(text) + text),
    st.tuples(CHUNKS, TRAILERS).map(
        lambda both: LINE + b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n%b\r\n" % both
    ),
    st.just(b"\r\n" + LINE + b"\r\n"),
    st.just(b"\r\n\r\n\r\n" + LINE + b"\r\n"),
)


class Reader:
    """Parses the slices, and notes the number of requests in each."""

    def __init__(self) -> None:
        self.slices = Slices()
        self.parser = httptools.HttpRequestParser(self)
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_receiving = False
        self.touched = self.complete = 0

    def on_message_begin(self) -> None:
        self.headers = []
        self.is_receiving = True
        self.touched += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.slices.content = content_length(self.headers, lambda: "1.1")

    def on_message_complete(self) -> None:
        self.is_receiving = False
        self.complete += 1
        self.slices.reset()

    def read(self, data: bytes) -> bytes:
        """Takes received bytes; returns the slices, joined again."""
        joined, begin = b"", 0
        while begin < len(data):
            end = self.slices.cut(data, begin)
            assert end > begin
            self.touched = int(self.is_receiving)
            self.parser.feed_data(data[begin:end])
            assert self.touched <= 1, data[begin:end]
            if self.is_receiving:
                self.slices.keep(data[begin:end])
            joined += data[begin:end]
            begin = end
        return joined


@given(st.lists(REQUESTS, min_size=1, max_size=8), st.lists(st.integers(1, 40), min_size=1))
def test_no_slice_has_parts_of_two_requests(requests: list[bytes], sizes: list[int]) -> None:
    reader, sent, begin = Reader(), b"".join(requests), 0
    while begin < len(sent):
        size = sizes[begin % len(sizes)]
        piece = sent[begin : begin + size]
        assert reader.read(piece) == piece
        begin += size
    assert reader.complete == len(requests)


@given(st.lists(REQUESTS, min_size=1, max_size=8))
def test_what_comes_at_once_is_cut_too(requests: list[bytes]) -> None:
    reader, sent = Reader(), b"".join(requests)
    assert reader.read(sent) == sent
    assert reader.complete == len(requests)
