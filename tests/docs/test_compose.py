"""compose.yaml and the Dockerfile: as far as they can be checked without Docker."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from guidkeep.settings import ROWS, variable
from tests.docs.pages import ROOT, text_of

NODES = ("node-1", "node-2", "node-3")
VARIABLES = {variable(row.name) for row in ROWS}


@pytest.fixture
def services() -> dict[str, Any]:
    """As Docker Compose reads them, anchors resolved; variables are not replaced."""
    compose = importlib.import_module("yaml").safe_load(text_of("compose.yaml"))
    found: dict[str, Any] = compose["services"]
    for service in found.values():
        assert set(service.get("networks", [])) <= set(compose["networks"])
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in compose["configs"]
    return found


def test_there_are_three_nodes_over_one_store_and_one_cache(services: dict[str, Any]) -> None:
    assert set(services) == {*NODES, "mariadb", "redis", "nginx"}
    assert services["node-1"] == services["node-2"] == services["node-3"]
    environment = services["node-1"]["environment"]
    assert set(environment) <= VARIABLES
    assert environment["GUIDKEEP_CACHE"] == "redis://redis"
    assert re.fullmatch(
        r"mysql://guidkeep:\$\{MARIADB_PASSWORD:\?.*\}@mariadb/guidkeep",
        environment["GUIDKEEP_STORE"],
    )


def test_only_the_balancer_is_reached_and_only_from_this_machine(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"nginx": ["127.0.0.1:8080:8080"]}


def test_each_service_waits_for_healthy_ones(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert "healthcheck" in service or name in NODES, "the nodes' is in the Dockerfile"
        for other, condition in service.get("depends_on", {}).items():
            assert other in services
            assert condition == {"condition": "service_healthy"}


def test_the_balancer_knows_every_node() -> None:
    servers = re.findall(r"^ +server (\S+):8080 max_fails", text_of("compose.yaml"), re.MULTILINE)
    assert tuple(servers) == NODES


def instructions() -> dict[str, list[str]]:
    """Those of the Dockerfile's last stage, by name."""
    text = re.sub(r"\\\n|^#.*\n", "", text_of("Dockerfile"), flags=re.MULTILINE)
    found: dict[str, list[str]] = {}
    for line in text[text.rindex("\nFROM ") :].strip().splitlines():
        name, _, rest = line.partition(" ")
        found.setdefault(name, []).append(rest)
    return found


def test_the_image_runs_the_command_as_nobody_special() -> None:
    found = instructions()
    assert found["USER"] == ["guidkeep"]
    assert found["ENTRYPOINT"] == ['["guidkeep"]']
    assert found["CMD"] == ['["serve"]']
    assert found["STOPSIGNAL"] == ["SIGTERM"]
    [check] = found["HEALTHCHECK"]
    assert re.search(r'CMD \["python", "-c", ".*127\.0\.0\.1:8080/livez.*"\]$', check)
    set_there = set(re.findall(r"\b(GUIDKEEP_\w+)=", " ".join(found["ENV"])))
    assert set_there
    assert set_there <= VARIABLES


def test_what_the_image_is_made_of_is_not_ignored() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text_of("Dockerfile"), re.MULTILINE)
    wanted = {name for line in copied for name in line.split()}
    let_in = {line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")}
    assert wanted == let_in
    assert all((ROOT / name).exists() for name in wanted)
