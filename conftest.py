"""The examples in README.md and docs/ are run as tests, against one server for the session."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from tests.docs.examples import DocumentedServer, check_json, run_console

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tests.alone", "tests.consistency.report"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Of a shell's job in the background. Programs that the tests start would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SYBIL = Sybil(
    parsers=[
        CodeBlockParser(language="console", evaluator=run_console),
        CodeBlockParser(language="json", evaluator=check_json),
        PythonCodeBlockParser(),
    ],
    patterns=["README.md", "docs/*.md", "docs/decisions/*.md"],
    excludes=["docs/measured/*.md"],  # made by `make bench`
    fixtures=["server", "in_the_servers_folder"],
)
"""Which pages have examples, and how each kind is run."""

pytest_collect_file = SYBIL.pytest()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentedServer]:
    """The command `guidkeep serve`, as it is without a setting but the port."""
    with DocumentedServer(tmp_path_factory.mktemp("documented")) as running:
        yield running


@pytest.fixture
def in_the_servers_folder(
    server: DocumentedServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Runs an example beside guidkeep.db, with the server's address as the client's default.

    An example may set this process' umask, which is restored.
    """
    monkeypatch.chdir(server.folder)
    monkeypatch.setenv("GUIDKEEP_URL", f"http://{server.address}")
    former = os.umask(0o022)
    os.umask(former)
    yield
    os.umask(former)
