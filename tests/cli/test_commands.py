"""The table of commands: everything in its rows exists; help and completion follow from it."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from guidkeep.cli import exits
from guidkeep.cli.commands import COMMANDS

if TYPE_CHECKING:
    from guidkeep.cli.command import Argument, Command
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]

EACH = pytest.mark.parametrize("command", COMMANDS, ids=lambda row: row.name)


@EACH
def test_the_function_of_a_row_exists_and_takes_the_options_alone(command: Command) -> None:
    assert len(inspect.signature(command.function()).parameters) == 1


@EACH
def test_a_row_is_complete(command: Command) -> None:
    assert command.about.endswith(".")
    assert command.summary[0].islower()
    assert f"guidkeep {command.name}" in command.examples[0]
    assert {exits.DONE, exits.USAGE} <= set(command.exits) <= set(exits.MEANINGS)
    assert len(set(command.exits)) == len(command.exits)


@pytest.mark.parametrize(
    "argument",
    [argument for command in COMMANDS for argument in command.each],
    ids=lambda row: row.name,
)
def test_the_help_of_an_argument_is_a_sentence(argument: Argument) -> None:
    assert argument.help.endswith(".")
    assert argument.help[0].isupper() or argument.name == "--log-format" or argument.help[0] == "3"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_all_commands_and_options(run: Run, capsys: Capture, shell: str) -> None:
    assert run("completion", shell) == 0
    script = capsys.readouterr().out
    for command in COMMANDS:
        assert command.name in script
        for argument in command.each:
            assert argument.name.removeprefix("--") in script or argument.name[0] != "-"
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_completion_in_bash_completes(run: Run, capsys: Capture) -> None:
    assert run("completion", "bash") == 0
    script = capsys.readouterr().out
    asks = "\nCOMP_WORDS=(guidkeep imp); COMP_CWORD=1; _shtab_guidkeep; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", script + asks], capture_output=True, text=True, check=True)
    assert done.stdout == "import\n"


@EACH
def test_the_help_of_a_command_says_all_that_its_row_says(
    run: Run, capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(command.name, "--help")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 100
    assert f"\nExamples:\n  {command.examples[0]}" in said
    listed = re.findall(r"^  (\d+) +(.*)$", said, re.MULTILINE)
    assert listed == [(str(code), exits.MEANINGS[code]) for code in sorted(command.exits)]
    monkeypatch.setenv("COLUMNS", "500")  # so that no sentence is wrapped
    with pytest.raises(SystemExit):
        run(command.name, "--help")
    whole = " ".join(capsys.readouterr().out.split())
    for argument in command.each:
        assert argument.about in whole


def test_help_lists_every_command(run: Run, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    said = " ".join(capsys.readouterr().out.split())
    for command in COMMANDS:
        assert f"{command.name} {command.summary}" in said


def test_help_needs_no_client() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "guidkeep", "list", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for module in ("httpx2", "uvicorn", "guidkeep.client"):
        assert not re.search(rf"\| +{module}$", done.stderr, re.MULTILINE)
