"""Ctrl-C at any time: one line or none, and never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import guidkeep
from guidkeep import __main__ as command
from guidkeep import errors
from guidkeep.cli import exits, interrupts, main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch

COMMANDS = {
    "get": ["get", "0" * 32],
    "import": ["import", "records"],
    "export": ["export", "all"],
    "copy": ["copy", "--from", "sqlite:///from.db", "--to", "sqlite:///to.db"],
    "serve": ["serve", "--port", "0"],
}
POINTS = (1, 120, 300)
"""Modules, ours and others, after whose import it comes."""


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_ctrl_c_while_modules_are_imported_ends_a_command_without_a_traceback(
    tmp_path: Path, words: list[str], point: int
) -> None:
    (tmp_path / "records").write_text('{"user":"Ann"}\n')
    (tmp_path / "from.db").touch()
    line = [sys.executable, "-X", "importtime", "-c", MAIN, *words]
    with subprocess.Popen(
        line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        said: list[str] = []
        for told in process.stderr:
            said.append(told)
            if " guidkeep.errors\n" in told:
                break
        for told in process.stderr:
            said.append(told)
            if len(said) > point and told.startswith("import time:"):
                break
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    whole = "".join(said) + rest
    assert "Traceback" not in whole
    assert "KeyboardInterrupt" not in whole
    interrupted = 0 if words[0] == "serve" else -signal.SIGINT
    assert process.returncode in (interrupted, exits.INTERRUPTED, 0)


MAIN = "import sys; from guidkeep.__main__ import main; sys.exit(main())"
"""The text of an installed script."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_has_not_begun_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    line = [sys.executable, "-X", "importtime", "-c", MAIN, "serve", "--port", "0"]
    with subprocess.Popen(
        line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        for told in process.stderr:
            if " guidkeep.settings\n" in told:
                break
        process.send_signal(number)
        _, rest = process.communicate(timeout=60)
    assert "Traceback" not in rest
    assert process.returncode == 0


@pytest.fixture
def handlers() -> Iterator[None]:
    """At the end the signal handlers are as before."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def test_it_ends_the_process_but_while_a_command_works(handlers: None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), interrupts.raised():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as after nohup
    with interrupts.raised():
        os.kill(os.getpid(), signal.SIGINT)


class Deaf:
    """An object whose `__del__` can't raise."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_what_can_not_be_raised_ends_the_process(handlers: None, monkeypatch: Patch) -> None:
    heard: list[Any] = []
    monkeypatch.setattr(
        signal, "raise_signal", lambda number: heard.append(signal.getsignal(number))
    )
    monkeypatch.setattr(sys, "__unraisablehook__", heard.append)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with interrupts.raised():
        former = sys.unraisablehook
        deaf = Deaf()
        del deaf
        assert heard[0] == signal.SIG_DFL
        assert heard[1].exc_type is KeyboardInterrupt
    assert sys.unraisablehook != former


def test_other_things_that_can_not_be_raised_are_told(handlers: None, monkeypatch: Patch) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError

    heard: list[Any] = []
    monkeypatch.setattr(sys, "__unraisablehook__", heard.append)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with interrupts.raised():
        failing = Failing()
        del failing
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert [one.exc_type for one in heard] == [ValueError]


@pytest.mark.parametrize("ignored", [[], [signal.SIGINT, signal.SIGTERM]])
@pytest.mark.parametrize("words", [["list"], ["serve"]])
def test_the_command_says_what_ctrl_c_does_before_it_imports_anything(
    handlers: None, monkeypatch: Patch, words: list[str], ignored: list[signal.Signals]
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)

    def terminated() -> int:
        if words == ["serve"]:
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        return 5

    monkeypatch.setattr(main, "main", terminated)
    monkeypatch.setattr(sys, "argv", ["guidkeep", *words])
    for number in ignored or [signal.SIGTERM] if words == ["list"] else ignored:
        signal.signal(number, signal.SIG_IGN)
    assert command.main() == 5
    is_ended = words == ["serve"] and not ignored
    assert ended == ([0] if is_ended else [])
    if ignored:
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    elif words == ["list"]:
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL


def test_the_package_imports_what_it_has_when_it_is_asked_for() -> None:
    assert guidkeep.__getattr__("errors") is errors
    assert guidkeep.NotFound is errors.NotFound
    assert guidkeep.__version__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = guidkeep.nothing


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["get", "--help"]])
def test_help_that_nobody_reads_is_no_fault_worth_a_word(
    run: Run, capsys: Capture, monkeypatch: Patch, words: list[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert run(*words) == exits.BROKEN_PIPE
    assert capsys.readouterr().err == ""


def test_help_that_is_read_ends_with_0(run: Run, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert not ended.value.code
    assert "usage: guidkeep" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["completion", "bash"], ["--version"]])
def test_output_that_finds_no_room_is_told_once(tmp_path: Path, words: list[str]) -> None:
    command = 'ulimit -f 0; exec "$@" > out'
    line = ["bash", "-c", command, "bash", sys.executable, "-m", "guidkeep", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        line, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert done.stderr == "guidkeep: Standard output can't be read or written: File too large.\n"
    assert done.returncode == exits.FAILED
