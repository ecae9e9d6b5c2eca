"""The figures of several workers as one text, as Prometheus' own library reads them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from guidkeep.metrics import Metrics
from guidkeep.server.shared_metrics import merged, shared_figures

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD = ["/guid/{guid}", '} 1.0\n# HELP x "y"\n', "a,b=\\", "", " # {"]


def told(worker: int) -> bytes:
    """Figures of all kinds, with all that a label may hold; some that only one worker has."""
    registry = CollectorRegistry()
    odd = Counter("odd", "With \\ and\nnew lines", ["text", "kind"], registry=registry)
    seconds = Histogram("seconds", "How long", ["text"], registry=registry)
    Gauge("plain", "Without labels", registry=registry).set(-1.5 * worker)
    Gauge("none", "Without samples", ["text"], registry=registry)
    for number, text in enumerate(ODD):
        odd.labels(text, "a").inc(number + worker)
        seconds.labels(text).observe(number + worker)
    if worker == 2:
        Gauge("alone", "Of one worker", registry=registry).set(float("inf"))
    return generate_latest(registry)


class Seen(NamedTuple):
    """A sample as the library reads it, and what is said of it."""

    type: str
    help: str
    name: str
    labels: frozenset[tuple[str, str]]
    value: float


def samples(text: bytes, **more: str) -> Iterator[Seen]:
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = frozenset((sample.labels | more).items())
            yield Seen(family.type, family.documentation, sample.name, labels, sample.value)


def test_it_has_the_samples_of_all_and_says_whose_each_is() -> None:
    texts = {number: told(number) for number in (0, 2, 11)}
    whole = merged(texts)
    expected = [
        sample for number, text in texts.items() for sample in samples(text, worker=str(number))
    ]
    found = list(samples(whole))
    assert len(found) == len(expected) == len(set(expected))
    assert set(found) == set(expected)


def test_a_family_stands_together_under_one_head() -> None:
    lines = merged({number: told(number) for number in (0, 2, 11)}).decode().split("\n")
    heads = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert heads == ["odd_total", "seconds", "plain", "none", "alone"]
    assert [line.split()[2] for line in lines if line.startswith("# TYPE ")] == heads
    where = [at for at, line in enumerate(lines) if line.startswith("odd_total")]
    assert where == list(range(where[0], where[0] + 3 * len(ODD)))


def test_an_exemplar_keeps_its_labels() -> None:
    text = b'# HELP x X.\n# TYPE x counter\nx 1.0 # {id="a"} 1.0\nx{a="b"} 2.0 # {id="c"} 1.0\n'
    assert merged({3: text}).split(b"\n")[2:] == [
        b'x{worker="3"} 1.0 # {id="a"} 1.0',
        b'x{worker="3",a="b"} 2.0 # {id="c"} 1.0',
        b"",
    ]


AS_ANOTHER = """
import os, socket, sys
name = sys.argv[1].replace("@", chr(0), 1)
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
with socket.socket(socket.AF_UNIX) as end:
    if sys.argv[2] == "ask":
        end.connect(name)
        sys.stdout.write(end.makefile().read())
    else:
        end.bind(name)
        end.listen()
        print("listens", flush=True)
        connection, _ = end.accept()
        connection.sendall(b"# HELP x X.\\n# TYPE x counter\\nx 1.0\\n")
        connection.close()
"""


@contextmanager
def another(name: str, does: str) -> Iterator[subprocess.Popen[str]]:
    """A process of another user's, which asks a worker, or takes a worker's name."""
    command = [sys.executable, "-c", AS_ANOTHER, name.replace("\0", "@"), does]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
async def test_no_other_user_is_told_figures_nor_believed_any() -> None:
    names = [f"\0guidkeep-test-{os.getpid()}-{number}" for number in range(3)]
    async with (
        shared_figures(Metrics(), 0, names),
        shared_figures(Metrics(), 1, names) as figures,
    ):
        with another(names[0], "ask") as asking:
            assert asking.stdout is not None
            assert await asyncio.to_thread(asking.stdout.read) == ""
        with another(names[2], "tell") as telling:
            assert telling.stdout is not None
            assert await asyncio.to_thread(telling.stdout.readline) == "listens\n"
            text = (await figures()).decode()
    assert 'worker="0"' in text
    assert 'worker="1"' in text
    assert 'worker="2"' not in text


def test_of_nobody_there_is_nothing() -> None:
    assert merged({}) == merged({0: b""}) == b""
