"""compose.yaml and the Dockerfile, as far as they can be checked without Docker."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.settings import ROWS, variable
from servers import nginx, redis
from servers.processes import Missing, Running, free_port, program
from tests.docs.pages import ROOT, text_of
from tests.docs.test_acl import ALLOWED, is_kept
from tests.engines import lack

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPOSE: dict[str, Any] = importlib.import_module("yaml").safe_load(text_of("compose.yaml"))
"""The file as Docker Compose reads it, with anchors resolved; variables are not replaced."""
SERVICES: dict[str, Any] = COMPOSE["services"]
NODES = ("node-1", "node-2", "node-3")
VARIABLES = {variable(row.name) for row in ROWS}
REQUIRED = r"\$\{[A-Z_]+:\?[^}]+\}"
"""Matches a variable without a default."""

every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_a_service_can_do_no_more_than_it_has_to(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert not {"cap_add", "privileged", "pid", "ipc", "network_mode"} & set(service)
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("user", "root") not in ("root", "0") or name in NODES  # see the Dockerfile
    assert service["read_only"] is True


@every_service
def test_a_service_can_use_up_nothing_without_end(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 1024
    assert service["logging"]["driver"] == "local"  # it discards old lines
    for place in service.get("tmpfs", []):
        assert re.fullmatch(r"/[\w/]+:mode=1777,size=\d+m", place)


@every_service
def test_a_service_is_started_again_and_its_health_is_looked_at(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    for other, condition in service.get("depends_on", {}).items():
        assert other in SERVICES
        assert condition == {"condition": "service_healthy"}


@every_service
def test_a_password_is_asked_for_and_has_no_default(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    if name == "nginx":
        assert not environment
        return
    secret = {key: value for key, value in environment.items() if "PASSWORD" in f"{key}{value}"}
    secret.pop("MARIADB_RANDOM_ROOT_PASSWORD", None)
    assert secret
    for value in secret.values():
        assert re.search(REQUIRED, value)
        assert "PASSWORD" not in re.sub(REQUIRED, "", value)


@every_service
def test_an_image_can_be_named_by_its_digest_without_a_change_of_the_file(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        image = service["build"]["args"]["PYTHON"]
        [default] = re.findall(r"^ARG PYTHON=(\S+)$", text_of("Dockerfile"), re.MULTILINE)
        assert image.startswith(f"{default}${{")
    else:
        image = service["image"]
    digest = re.fullmatch(r"[a-z]+:[\w.-]+\$\{([A-Z]+_DIGEST):-\}", image)
    assert digest
    assert digest[1] in text_of("docs/scaling.md")


@every_service
def test_what_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).is_file()
            assert volume.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_no_config_is_written_in_the_file() -> None:
    """Compose would copy such a secret into the container, and can't if that is read-only."""
    assert not {"configs", "secrets"} & set(COMPOSE)


def test_there_are_three_nodes_over_one_store_and_one_cache() -> None:
    assert set(SERVICES) == {*NODES, "mariadb", "redis", "nginx"}
    assert SERVICES["node-1"] == SERVICES["node-2"] == SERVICES["node-3"]
    environment = SERVICES["node-1"]["environment"]
    assert set(environment) <= VARIABLES
    assert environment["GUIDKEEP_MAX_CONNECTIONS_PER_CLIENT"] == "0"  # all connections are nginx's
    assert environment["GUIDKEEP_ALLOW_HOST"] == "localhost,127.0.0.1"
    for name, password, place in (
        ("GUIDKEEP_STORE", "MARIADB_PASSWORD", "mysql://guidkeep:{}@mariadb/guidkeep"),
        ("GUIDKEEP_CACHE", "REDIS_PASSWORD", "redis://guidkeep:{}@redis"),
    ):
        assert f"${{{password}:?" in environment[name]
        assert re.sub(REQUIRED, "{}", environment[name]) == place


def test_only_the_balancer_is_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"nginx": ["127.0.0.1:8080:8080"]}
    leave = [name for name, service in SERVICES.items() if "outside" in service["networks"]]
    assert leave == ["nginx"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_the_passwords_are_made_by_the_command_that_is_named() -> None:
    command = ROOT / "servers" / "compose-env.sh"
    made = [subprocess.run([command], capture_output=True, text=True, check=True) for _ in "ab"]
    first, second = (dict(re.findall(r"^(\w+)=(\w+)$", done.stdout, re.MULTILINE)) for done in made)
    asked = set(re.findall(r"\$\{(\w+):\?", text_of("compose.yaml")))
    assert set(first) == set(second) == asked
    values = [*first.values(), *second.values()]
    assert len(set(values)) == len(values)
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in values)
    assert "\n/.env\n" in text_of(".gitignore")


@pytest.fixture
def compose_redis(tmp_path: Path) -> Iterator[redis.Redis]:
    """Redis, started by the command of compose.yaml with another port."""
    try:
        program("redis-server", package=redis.PACKAGE)
    except Missing as missing:
        lack(missing)
    shell, flag, script = SERVICES["redis"]["command"]
    port = free_port()
    ours = f"redis-server - --port {port} --dir {tmp_path}"
    script = script.replace("$$", "$").replace("redis-server -", ours, 1)
    url = f"redis://guidkeep:secret@127.0.0.1:{port}"
    environment = {"PATH": "/usr/bin:/bin", "REDISCLI_AUTH": "secret"}

    def launch() -> Running:
        return Running([shell, flag, script], folder=tmp_path, environment=environment)

    server = redis.Redis(url, launch)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_redis_lets_in_who_has_the_password_and_nobody_else(
    compose_redis: redis.Redis,
) -> None:
    stranger = redis.Redis(f"redis://127.0.0.1:{compose_redis.port}")
    for words in (("PING",), ("GET", "guidkeep:x"), ("CONFIG", "GET", "*")):
        with pytest.raises(Exception, match="NOAUTH"):
            stranger.ask(*words)
    with pytest.raises(Exception, match="NOPERM"):
        compose_redis.ask("CONFIG", "GET", "*")
    assert await is_kept(compose_redis)
    command = command_line(compose_redis.process.pid)
    assert command.startswith(b"redis-server")  # the shell is gone: signals reach Redis
    assert b"secret" not in command
    rights = re.search(r"^user guidkeep (.*)$", SERVICES["redis"]["command"][2], re.MULTILINE)
    assert rights
    assert rights[1].split() == ["on", ">$$REDISCLI_AUTH", "~guidkeep:*", *ALLOWED, "+ping"]


def test_the_health_check_of_redis_asks_as_its_user(compose_redis: redis.Redis) -> None:
    if not shutil.which("redis-cli"):
        pytest.skip("redis-cli is missing")
    kind, script = SERVICES["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    script = script.replace("redis-cli", f"redis-cli -p {compose_redis.port}")
    for password, code in (("secret", 0), ("wrong", 1)):
        environment = {"PATH": "/usr/bin:/bin", "REDISCLI_AUTH": password}
        done = subprocess.run(
            ["sh", "-c", script], env=environment, capture_output=True, check=False
        )
        assert done.returncode == code


def test_no_health_check_goes_through_a_proxy() -> None:
    assert SERVICES["node-1"]["healthcheck"]["test"] == ["CMD", "guidkeep", "health"]
    asks = SERVICES["nginx"]["healthcheck"]["test"]
    assert asks[1:4] == ["curl", "--noproxy", "*"]
    assert asks[-1] == "http://127.0.0.1:8080/livez"


def test_the_balancer_knows_every_node() -> None:
    text = text_of("servers/compose-nginx.conf")
    assert tuple(re.findall(r"^ +server (\S+):8080 max_fails", text, re.MULTILINE)) == NODES


def test_the_balancer_of_compose_is_one_that_nginx_takes(tmp_path: Path) -> None:
    try:
        command = program("nginx", package=nginx.PACKAGE)
    except Missing as missing:
        lack(missing)
    text = text_of("servers/compose-nginx.conf")
    text = re.sub(r"node-\d", "127.0.0.1", text)  # that host does not exist here
    text = text.replace("/etc/nginx/guidkeep.conf", f'"{nginx.SHARED}"')
    for source in SERVICES["nginx"]["volumes"]:
        assert re.fullmatch(r"\./servers/[\w-]+\.conf:/etc/nginx/[\w/.]+\.conf:ro", source)
    folders = " ".join(f"{name}_temp_path {tmp_path / name};" for name in nginx.TEMPORARY)
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; events {{ }} http {{ access_log off; {folders} {text} }}"
    )
    subprocess.run([command, "-t", "-e", "stderr", "-c", whole], capture_output=True, check=True)


def instructions() -> dict[str, list[str]]:
    """The instructions of the Dockerfile's last stage, by name."""
    text = re.sub(r"\\\n|^#.*\n", "", text_of("Dockerfile"), flags=re.MULTILINE)
    found: dict[str, list[str]] = {}
    for line in text[text.rindex("\nFROM ") :].strip().splitlines():
        name, _, rest = line.partition(" ")
        found.setdefault(name, []).append(rest)
    return found


def test_the_image_runs_the_command_as_nobody_special() -> None:
    found = instructions()
    [user] = found["USER"]
    assert user.isdigit()  # a platform can't look up a name, and refuses a user that may be root
    assert int(user) > 0
    assert f"--uid {user} " in found["RUN"][0]
    assert found["ENTRYPOINT"] == ['["guidkeep"]']
    assert found["CMD"] == ['["serve"]']
    assert found["STOPSIGNAL"] == ["SIGTERM"]
    [check] = found["HEALTHCHECK"]
    assert check.endswith('CMD ["guidkeep", "health"]')
    environment = dict(re.findall(r"\b([A-Z_]+)=(\S+)", " ".join(found["ENV"])))
    assert found["VOLUME"] == [environment["TMPDIR"]]  # the only folder that it writes to
    set_there = {name for name in environment if name.startswith("GUIDKEEP_")}
    assert set_there
    assert set_there <= VARIABLES


def test_what_the_image_is_built_with_is_named_to_the_version() -> None:
    assert re.search(
        r"pip install --no-cache-dir uv==\d+\.\d+\.\d+$", text_of("Dockerfile"), re.MULTILINE
    )


def test_what_the_image_is_made_of_is_not_ignored() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text_of("Dockerfile"), re.MULTILINE)
    wanted = {name for line in copied for name in line.split()}
    let_in = {line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")}
    assert wanted == let_in
    assert all((ROOT / name).exists() for name in wanted)
