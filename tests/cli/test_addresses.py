"""URLs without Guidkeep, or with a proxy that alters its responses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.cli import exits
from guidkeep.client import retry
from guidkeep.system.backoff import Backoff
from tests.client.test_transport import odd
from tests.proxies import compressed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guidkeep import Client
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch

GUID = "9094E4C980C74043A4B586B420E69DDF"
READS = (["get", GUID], ["list"], ["stats"], ["forecast"], ["export"])
WRITES = (
    ["create", "user=Ann"],
    ["update", GUID, "user=Ann", "--if-match", '"1"'],
    ["delete", GUID],
    ["import", "records"],
)


def page(status: int, body: bytes, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d Odd" % status, b"content-length: %d" % len(body), *fields, b"", body]
    return b"\r\n".join(lines)


ODD = {
    "a captive portal": page(200, b"<html><title>Log in</title></html>"),
    "nothing": page(200, b""),
    "another service's JSON": page(200, b'{"status": "fine"}', b"content-type: application/json"),
    "a list": page(200, b"[]"),
    "a page that is not there": page(404, b"<html><title>404 Not Found</title></html>"),
    "another service's 404": page(404, b'{"type": "about:blank"}'),
    "a way to elsewhere": page(301, b"", b"location: https://elsewhere.example/guid"),
    "a way back": page(302, b"", b"location: /"),
    "who are you": page(401, b"Say who you are."),
    "a gateway": page(502, b"<html>Bad Gateway</html>"),
    "a late gateway": page(504, b""),
    "Cloudflare": page(522, b"<html>Timed out</html>"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
}


@pytest.mark.parametrize("came", ODD.values(), ids=ODD)
@pytest.mark.parametrize("words", [*READS, *WRITES], ids=lambda words: words[0])
def test_what_is_no_guidkeep_is_told_in_a_sentence_and_as_no_record_that_is_missing(
    run: Run, capsys: Capture, monkeypatch: Patch, tmp_path: Path, came: bytes, words: list[str]
) -> None:
    monkeypatch.setattr(retry, "BACKOFF", Backoff(0.001, 0.001))
    (tmp_path / "records").write_text('{"user":"Ann"}\n')
    with odd(*[came] * 200) as server:
        code = run(*words, "--url", server.address)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("guidkeep: ")
    assert "Traceback" not in said.err
    assert "no live record" not in said.err
    open_ = ("a gateway", "a late gateway", "Cloudflare", "no HTTP")
    is_open = any(came is ODD[name] for name in open_) and words in WRITES
    assert code == (exits.UNKNOWN if is_open else exits.UNAVAILABLE)
    assert ("may have happened" in said.err) == is_open
    if came == ODD["a way to elsewhere"]:
        assert "301 leads to 'https://elsewhere.example/guid'" in said.err


@pytest.mark.parametrize("words", [*READS, *WRITES], ids=lambda words: words[0])
@pytest.mark.parametrize("path", ["/guid", "/api/v1/"])
def test_a_path_too_much_is_told(
    run: Run, capsys: Capture, running: Any, tmp_path: Path, words: list[str], path: str
) -> None:
    (tmp_path / "records").write_text('{"user":"Ann"}\n')
    code = run(*words, "--url", running.address + path)
    assert "no live record" not in capsys.readouterr().err
    assert code == exits.UNAVAILABLE


@pytest.mark.parametrize("words", [["get", GUID], ["list"], ["import", "records"]])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("{0}?a=b", "it ends before a query (?)"),
        ("{0}/#a", "has a #, which would cut it short"),
        ("{0}?", "it ends before a query (?)"),
        ("localhost:8080", "is not the address of a service"),
        ("unix:///run/guidkeep", "is not the address of a service"),
    ],
)
def test_what_can_be_no_url_is_the_command_lines_fault(
    run: Run, capsys: Capture, running: Any, tmp_path: Path, words: list[str], url: str, said: str
) -> None:
    (tmp_path / "records").write_text('{"user":"Ann"}\n')
    assert run(*words, "--url", url.format(running.address)) == exits.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.waits
def test_https_where_plain_http_is_spoken_is_told(run: Run, capsys: Capture, running: Any) -> None:
    url = running.address.replace("http:", "https:")
    assert run("get", GUID, "--url", url, "--timeout", "3s") == exits.UNAVAILABLE
    assert "the server there does not use TLS" in capsys.readouterr().err


def test_a_user_and_a_password_in_the_url_do_no_harm(
    run: Run, capsys: Capture, running: Any, guid: str
) -> None:
    url = running.address.replace("//", "//ann:pa55word@")
    assert run("get", guid, "--url", url) == exits.NOT_FOUND
    assert "pa55word" not in capsys.readouterr().err


@pytest.fixture(scope="module")
def compressing(running: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An nginx in front of the service that compresses, and so weakens each ETag."""
    with compressed(tmp_path_factory.mktemp("nginx"), running.address) as address:
        yield address


def test_behind_a_proxy_that_compresses_a_version_is_one_still(
    run: Run, client: Client, capsys: Capture, guid: str, compressing: str
) -> None:
    there = client.create({"user": "Ann", "text": "x" * 2000}, guid=guid)
    assert run("get", guid, "--etag", "--url", compressing) == 0
    etag = capsys.readouterr().out.strip()
    assert etag == there.etag
    for weak, user in ("", "Bob"), ("W/", "Eve"):
        given = f"{weak}{client.read(guid).etag}"
        words = ["update", guid, f"user={user}", "--if-match", given, "--url", compressing]
        assert run(*words) == 0
        assert json.loads(capsys.readouterr().out)["user"] == user
    assert run("delete", guid, "--if-match", etag, "--url", compressing) == exits.CONFLICT
