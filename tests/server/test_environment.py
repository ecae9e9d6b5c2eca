"""Environment variables with Guidkeep's prefix: settings, a platform's, and misspelt ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guidkeep import settings
from guidkeep.errors import StartupError
from guidkeep.settings import ROWS, Settings, load, unknown_variables, variable
from guidkeep.system.environment import unknown
from servers.processes import free_port
from tests.server.processes import serving
from tests.server.wire import wired

if TYPE_CHECKING:
    from collections.abc import Mapping

KUBERNETES = {
    "GUIDKEEP_SERVICE_HOST": "10.96.12.5",
    "GUIDKEEP_SERVICE_PORT": "8080",
    "GUIDKEEP_SERVICE_PORT_HTTP": "8080",
    "GUIDKEEP_PORT": "tcp://10.96.12.5:8080",
    "GUIDKEEP_PORT_8080_TCP": "tcp://10.96.12.5:8080",
    "GUIDKEEP_PORT_8080_TCP_PROTO": "tcp",
    "GUIDKEEP_PORT_8080_TCP_PORT": "8080",
    "GUIDKEEP_PORT_8080_TCP_ADDR": "10.96.12.5",
    # of a Service called guidkeep-store
    "GUIDKEEP_STORE_SERVICE_HOST": "10.96.12.6",
    "GUIDKEEP_STORE_SERVICE_PORT": "3306",
    "GUIDKEEP_STORE_PORT": "tcp://10.96.12.6:3306",
    "GUIDKEEP_STORE_PORT_3306_TCP": "tcp://10.96.12.6:3306",
}
DOCKER = {
    "GUIDKEEP_NAME": "/web/guidkeep",
    "GUIDKEEP_PORT": "tcp://172.17.0.5:8080",
    "GUIDKEEP_PORT_8080_TCP_PORT_START": "8080",
    "GUIDKEEP_ENV_PYTHON_VERSION": "3.11",
}
PLATFORMS = pytest.mark.parametrize(
    "environment", [KUBERNETES, DOCKER], ids=["Kubernetes", "Docker"]
)


@PLATFORMS
def test_what_a_platform_injects_is_no_setting_and_no_error(environment: Mapping[str, str]) -> None:
    assert load({}, environment) == Settings()
    assert not list(unknown_variables(environment))


@pytest.mark.parametrize("port", ["tcp//1", "http://10.0.0.1:80", "10.0.0.1:80", ""])
def test_a_port_that_no_platform_injects_is_refused(port: str) -> None:
    with pytest.raises(StartupError, match=r"GUIDKEEP_PORT: .* is not a port"):
        load({}, {"GUIDKEEP_PORT": port})


def test_a_flag_is_taken_whatever_it_says() -> None:
    with pytest.raises(StartupError, match="--port"):
        load({"port": "tcp://10.96.12.5:8080"}, KUBERNETES)
    assert load({"port": "1"}, KUBERNETES).port == 1


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("GUIDKEEP_PORTT", "GUIDKEEP_PORT"),
        ("GUIDKEEP_STORE_URL", "GUIDKEEP_STORE"),
        ("GUIDKEEP_MAXBODY", "GUIDKEEP_MAX_BODY"),
        ("GUIDKEEP_PORT_8080", "GUIDKEEP_PORT"),
        ("GUIDKEEP_NAME", None),
        ("GUIDKEEP_", None),
        ("GUIDKEEP_PASSWORD_OF_MY_OWN_PROGRAM", None),
    ],
)
def test_a_variable_that_is_no_setting_is_told_with_the_nearest_that_is(
    name: str, nearest: str | None
) -> None:
    told = list(unknown_variables({"PATH": "x", "GUIDKEEP_PORT": "1", name: "s3cret"}))
    assert told == [(name, nearest)]


def test_all_variables_that_the_project_reads_are_known() -> None:
    """The variables of its commands, tests and tools are known too."""
    root = Path(settings.__file__).parents[2]
    read = {
        name
        for folder in ("src", "servers", "benchmarks", "tests")
        for path in (root / folder).rglob("*.py")
        if path != Path(__file__)
        for name in re.findall(
            r"(?:environ\S*|_VARIABLE = )\W*(GUIDKEEP_[A-Z_]+)", path.read_text()
        )
    }
    assert len(read) > 5
    assert not list(unknown_variables(dict.fromkeys(read, "x")))
    assert not list(
        unknown(
            dict.fromkeys(map(variable, [row.name for row in ROWS]), "x"),
            map(variable, [row.name for row in ROWS]),
        )
    )


def test_a_service_called_guidkeep_starts_in_kubernetes(tmp_path: Path) -> None:
    log, port = tmp_path / "log", free_port()
    environment = {**KUBERNETES, "GUIDKEEP_LIFETIM": "s3cret"}
    flags = ("--port", str(port))
    with serving(tmp_path / "a.db", *flags, environment=environment, log=log) as server:
        with wired(server.address) as wire:
            assert wire.ask("GET", "/livez").status == 200
        assert server.stop() == 0
    first = json.loads(log.read_text().splitlines()[0])
    assert (first["event"], first["level"]) == ("unknown variable", "warning")
    assert (first["variable"], first["nearest"]) == ("GUIDKEEP_LIFETIM", "GUIDKEEP_LIFETIME")
    assert "s3cret" not in log.read_text()
    assert log.read_text().count("unknown variable") == 1
