"""Nothing waits for the reader of standard error or standard output."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import logs
from guidkeep.system.writer import BackgroundWriter, say
from servers.nodes import ENVIRONMENT
from servers.processes import free_port
from tests.server.processes import GUIDKEEP
from tests.server.wire import request, wired
from tests.support import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIPE = 4096
LONG = "x" * 2000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that is full after one page; its ends are closed after the test."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE)
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue


def lost(count: int) -> bytes:
    return b"lost %d\n" % count


def all_of(reader: int) -> list[str]:
    """The lines that come until the writers are gone."""
    with os.fdopen(os.dup(reader)) as stream:
        return stream.read().splitlines()


def close(writer: BackgroundWriter, *ends: int) -> None:
    writer.close()
    for end in ends:
        os.close(end)


def test_lines_come_in_order(pipe: tuple[int, int]) -> None:
    writer = BackgroundWriter(pipe[1], lost)
    for number in range(100):
        writer.write(b"%d\n" % number)
    assert writer.flush(PATIENCE)
    close(writer, pipe[1])
    assert all_of(pipe[0]) == [str(number) for number in range(100)]


def test_what_finds_no_room_is_counted_in_its_place(pipe: tuple[int, int]) -> None:
    """The first part waits for a reader, and so do the parts after it."""
    writer = BackgroundWriter(pipe[1], lost, limit=10_000)
    for number in range(100):
        writer.write(b"%d %0500d\n" % (number, 0))
    assert not writer.flush(0)
    told: list[str] = []
    reading = threading.Thread(target=lambda: told.extend(all_of(pipe[0])))
    reading.start()
    assert writer.flush(PATIENCE)
    writer.write(b"100 and there is room again\n")
    close(writer, pipe[1])
    reading.join(PATIENCE)
    expected, gaps = 0, 0
    for line in told:
        if line.startswith("lost "):
            expected, gaps = expected + int(line.split()[1]), gaps + 1
        else:
            assert line.split()[0] == str(expected)
            expected += 1
    assert expected == 101
    assert gaps == 1


@pytest.mark.parametrize("is_blocking", [True, False])
def test_it_waits_for_a_reader_however_the_stream_was_set_up(
    pipe: tuple[int, int], is_blocking: bool
) -> None:
    os.set_blocking(pipe[1], is_blocking)
    writer = BackgroundWriter(pipe[1], lost)
    writer.write(b"%020000d\n" % 0)
    assert not writer.flush(0.01)
    close(writer, pipe[1])
    assert all_of(pipe[0]) == ["0" * 20_000]


def test_what_the_system_refuses_to_write_is_counted_until_it_does_not(tmp_path: Path) -> None:
    """As with a full disk. Here the stream is a pipe without a reader, and then a file."""
    reader, end = os.pipe()
    os.close(reader)
    writer = BackgroundWriter(end, lost)
    for line in (b"one\n", b"two\n"):
        writer.write(line)
        assert writer.flush(PATIENCE)
    path = tmp_path / "log"
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, writer._descriptor)
    writer.write(b"three\n")
    assert writer.flush(PATIENCE)
    close(writer, end, file)
    assert path.read_text() == "lost 2\nthree\n"


def test_a_line_is_said_whether_standard_output_is_a_stream_or_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    say("a line – of text")
    assert capfd.readouterr().out == "a line – of text\n"


def test_a_line_is_said_into_memory_too(capsys: pytest.CaptureFixture[str]) -> None:
    say("a line")
    assert capsys.readouterr().out == "a line\n"


def test_an_event_that_can_not_be_logged_is_logged_by_its_kind(
    capfd: pytest.CaptureFixture[str],
) -> None:
    logs.configure(form="json", level="info")
    logging.getLogger("lib").error("%s %s", "a secret")  # noqa: PLE1206 - that is the fault
    logging.getLogger().handlers[0].flush()
    told = json.loads(capfd.readouterr().err)
    assert (told["event"], told["error"]) == ("an event could not be logged", "TypeError")
    assert (told["logger"], told["level"]) == ("lib", "warning")


def test_to_set_up_logging_again_leaves_nothing_of_the_time_before(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = set(threading.enumerate())
    logs.configure(form="json", level="info")
    [former] = set(threading.enumerate()) - before
    logging.getLogger("lib").warning("its last words")
    logs.configure(form="json", level="info")
    former.join(PATIENCE)
    assert not former.is_alive()
    assert json.loads(capfd.readouterr().err)["event"] == "its last words"


def test_a_log_says_how_many_lines_were_lost(pipe: tuple[int, int]) -> None:
    handler = logs.Handler(pipe[1], "ascii")
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(lines)s", defaults={"lines": 1}))
    for number in range(20):
        record = logging.LogRecord("of", logging.INFO, "", 0, f"{number} {'x' * 99_999}", (), None)
        handler.handle(record)
    os.close(pipe[1])
    handler.close()
    told = [line.split() for line in all_of(pipe[0])]
    assert told[-1][:4] == ["guidkeep.logs", "log", "lines", "lost"]
    assert sum(int(line[-1]) for line in told) == 20


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server whose standard output is full before it starts, and whose log is not read."""
    port, (reader, full) = free_port(), os.pipe()
    os.set_blocking(full, False)
    try:
        while True:
            os.write(full, bytes(PIPE))
    except BlockingIOError:
        os.set_blocking(full, True)
    command = ["serve", "--port", str(port), "--access-log", "on", "--max-headers", "64KiB"]
    with subprocess.Popen(
        [*GUIDKEEP, *command, "--store", f"sqlite:///{tmp_path / 'a.db'}"],
        stdout=full,
        stderr=subprocess.PIPE,
        env=dict(ENVIRONMENT),
    ) as process:
        yield process, f"http://127.0.0.1:{port}"
        process.kill()
    os.close(reader)
    os.close(full)


def answers(address: str) -> bool:
    try:
        with wired(address) as wire:
            return wire.ask("GET", "/livez").status == 200
    except ConnectionRefusedError:
        return False


def test_a_log_that_nobody_reads_stops_no_server(
    unread: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, address = unread
    wait_until(lambda: answers(address))
    count = 2000
    for _ in range(count // 100):
        with wired(address, timeout=PATIENCE) as wire:
            wire.send(request("GET", f"/nowhere/{LONG}") * 100)
            for _ in range(100):
                assert wire.answer().status == 404
    assert answers(address)
    assert process.stderr is not None
    process.terminate()
    told: list[dict[str, Any]] = [json.loads(line) for line in process.stderr]
    assert process.wait(PATIENCE) == 0
    gone = sum(line["lines"] for line in told if line["event"] == "log lines lost")
    logged = [line for line in told if line.get("path", "").startswith("/nowhere")]
    assert gone > 0
    assert 0 <= len(logged) + gone - count <= 10, "or some polls of /livez are among them"
    assert told[-1]["event"] == "stopped"


def test_a_server_ends_though_nobody_reads_its_log(
    unread: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, address = unread
    wait_until(lambda: answers(address))
    with wired(address, timeout=PATIENCE) as wire:
        wire.send(request("GET", f"/nowhere/{LONG}") * 100)
        for _ in range(100):
            wire.answer()
    process.terminate()
    assert process.wait(PATIENCE) == 0
