"""nginx and systemd accept the configurations in the docs, and limit their resources."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from servers import nginx
from servers.processes import Missing, program
from tests.docs.pages import PAGES, text_of
from tests.engines import lack

if TYPE_CHECKING:
    from pathlib import Path


def blocks(language: str) -> dict[str, str]:
    """The examples in that language, by page and number."""
    return {
        f"{page}-{number}": block
        for page in PAGES
        for number, block in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
        )
    }


SERVERS = blocks("nginx") | {"servers/guidkeep.conf": text_of("servers/guidkeep.conf")}
UNITS = {name: block for name, block in blocks("ini").items() if "ExecStart=" in block}


@pytest.mark.parametrize("name", SERVERS)
def test_no_client_fills_the_disk_of_an_nginx_that_is_set_up_as_shown(name: str) -> None:
    """tests/cluster/test_nginx.py shows that these lines suffice."""
    text = re.sub(r"#.*", "", SERVERS[name])
    assert "proxy_max_temp_file_size 0;" in text
    sizes = re.findall(r"client_(?:max_body|body_buffer)_size (\S+);", text)
    assert sizes == ["128k", "128k", "0"]
    _, _, bulk = text.partition("location = /bulk {")
    bulk, _, _ = bulk.partition("proxy_pass")
    # A request of any length must declare it, and is not buffered; see servers/guidkeep.conf.
    for line in ('if ($content_length = "")', "client_max_body_size 0;"):
        assert line in bulk
    assert re.findall(r"\w+_buffering off", text) == ["proxy_request_buffering off"]
    assert "proxy_request_buffering off;" in bulk


@pytest.mark.parametrize("name", blocks("nginx"))
def test_an_example_for_nginx_is_one_that_it_takes(name: str, tmp_path: Path) -> None:
    try:
        command = program("nginx", package=nginx.PACKAGE)
    except Missing as missing:
        lack(missing)
    text = re.sub(r"[\w-]+\.internal\b", "127.0.0.1", SERVERS[name])  # no such host here
    text = text.replace("listen 443 ssl;", "listen 127.0.0.1:8443;")  # there is no certificate here
    folders = " ".join(f"{folder}_temp_path {tmp_path / folder};" for folder in nginx.TEMPORARY)
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; events {{ }} http {{ access_log off; {folders} {text} }}"
    )
    done = subprocess.run(
        [command, "-t", "-e", "stderr", "-c", whole], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_there_is_a_unit_for_systemd() -> None:
    assert UNITS


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_for_systemd_is_one_that_it_takes(name: str, tmp_path: Path) -> None:
    if not (command := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is missing")
    unit = tmp_path / "guidkeep.service"
    unit.write_text(re.sub(r"(?<=^ExecStart=)\S+", "/bin/true", UNITS[name], flags=re.MULTILINE))
    done = subprocess.run([command, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_for_systemd_can_do_no_more_than_it_has_to(name: str) -> None:
    told = dict(line.split("=", 1) for line in UNITS[name].splitlines() if "=" in line)
    assert told["Restart"] == "on-failure"
    assert told["CapabilityBoundingSet"] == ""
    assert told["UMask"] == "0077"
    assert told["ProtectSystem"] == "strict"
    assert told["SystemCallFilter"] == "@system-service"
    assert {"DynamicUser", "NoNewPrivileges", "MemoryMax", "TasksMax"} <= set(told)
