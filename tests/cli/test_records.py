"""`guidkeep create`, `get`, `update`, `delete`, `list`: effects, output and exit codes."""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import Client
from guidkeep.cli import exits
from tests.cli.conftest import Terminal, feed

if TYPE_CHECKING:
    from guidkeep.server.server import Running
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch


def test_create_prints_the_record_as_it_is_kept(
    run: Run, client: Client, capsys: Capture, guid: str
) -> None:
    assert (
        run("create", guid, "user=Ann Lee", "seats:=1.50", "a=b=c", "--expire", "2100-01-01") == 0
    )
    text = f'{{"guid":"{guid}","expire":"4102444800","user":"Ann Lee","seats":1.50,"a":"b=c"}}'
    assert capsys.readouterr() == (f"{text}\n", "")
    assert client.read(guid).text == text


def test_create_draws_a_guid_where_none_is_given(run: Run, client: Client, capsys: Capture) -> None:
    assert run("create", "user=Ann") == 0
    assert client.read(json.loads(capsys.readouterr().out)["guid"]).user == "Ann"


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("words", [[], ["-"], ["-", "n:=2"]])
def test_create_takes_members_from_standard_input(
    run: Run, capsys: Capture, monkeypatch: Patch, words: list[str], bom: bytes
) -> None:
    feed(monkeypatch, bom + b'{"user": "Ann", "n": 1.10}')
    assert run("create", *words) == 0
    number = "2" if "n:=2" in words else "1.10"
    assert capsys.readouterr().out.endswith(f'"user":"Ann","n":{number}}}\n')


def test_on_a_terminal_standard_input_is_not_waited_for(
    run: Run, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert run("create") == exits.REFUSED
    assert '"user" is a required property' in capsys.readouterr().err


@pytest.mark.parametrize("is_input", [False, True])
def test_create_changes_nothing_that_is_there(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, guid: str, is_input: bool
) -> None:
    before = client.create({"user": "Ann"}, guid=guid)
    feed(monkeypatch, f'{{"guid":"{guid}"}}'.encode())
    assert run("create", *(["-"] if is_input else [guid]), "user=Bob") == exits.CONFLICT
    assert capsys.readouterr().err == (
        f"guidkeep: {guid} has a live record already; `guidkeep update` changes it.\n"
    )
    assert client.read(guid) == before


def test_words_may_stand_before_options_and_after_them(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, guid: str
) -> None:
    feed(monkeypatch, b'{"n": 1.50}')
    assert run("create", guid, "--expire", "2100-01-01", "user=Ann", "-") == 0
    record = client.read(guid)
    assert record.text.endswith('"n":1.50,"user":"Ann"}')
    assert run("update", guid, "--if-match", record.etag, "user=Bob") == 0
    assert client.read(guid).user == "Bob"
    other = client.create({"user": "Ann"}).guid
    assert run("delete", guid, "--timeout", "5s", other) == 0
    assert client.get(other) is None


@pytest.mark.parametrize("version", ["é", "a\nb", " a"])
def test_a_version_that_no_header_can_carry_is_refused(
    run: Run, capsys: Capture, guid: str, version: str
) -> None:
    assert run("update", guid, "user=Ann", "--if-match", version) == exits.REFUSED
    assert "is not a version of a record" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("create", "a=b", "--table", "c=d", "--no-option"),
        ("get", "A", "--table", "B"),
        ("stats", "x"),
    ],
)
def test_what_no_command_knows_is_refused(
    run: Run, capsys: Capture, words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == exits.USAGE
    assert "unrecognized arguments" in capsys.readouterr().err


def test_get_prints_the_record_or_its_version(
    run: Run, client: Client, capsys: Capture, guid: str
) -> None:
    record = client.create({"user": "Ann"}, guid=guid)
    assert run("get", guid) == 0
    assert run("get", guid, "--etag") == 0
    assert capsys.readouterr().out == f"{record.text}\n{record.etag}\n"


def test_update_merges_and_can_put_off_the_end(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, guid: str
) -> None:
    client.create({"user": "Ann", "n": 1, "m": 2}, guid=guid)
    assert run("update", guid, "n:=null", "m=x", "--expire", "4102444800") == 0
    assert run("update", guid, "--expire", "4102444801") == 0
    feed(monkeypatch, b'{"k": 1}')
    assert run("update", guid) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .endswith('"expire":"4102444801","user":"Ann","m":"x","k":1}')
    )
    assert run("update", guid, "--expire", "default") == 0
    assert client.read(guid).expire < 4102444800


def test_ttl_is_a_time_from_the_services_now(run: Run, client: Client, guid: str) -> None:
    assert run("create", guid, "user=Ann", "--ttl", "1h") == 0
    first = client.read(guid).expire
    assert run("update", guid, "--ttl", "7200") == 0
    assert 3590 <= client.read(guid).expire - first <= 3610


def test_update_goes_through_while_the_version_is_the_one_named(
    run: Run, client: Client, capsys: Capture, guid: str
) -> None:
    etag = client.create({"user": "Ann"}, guid=guid).etag
    assert run("update", guid, "user=Bob", "--if-match", etag) == 0
    assert run("update", guid, "user=Eve", "--if-match", etag) == exits.CONFLICT
    assert run("delete", guid, "--if-match", etag) == exits.CONFLICT
    assert "names another version" in capsys.readouterr().err
    assert client.read(guid).user == "Bob"


def test_delete_goes_on_after_one_that_is_not_there(
    run: Run, client: Client, capsys: Capture, guid: str
) -> None:
    there = client.create({"user": "Ann"}).guid
    assert run("delete", guid, there) == exits.NOT_FOUND
    assert capsys.readouterr() == ("", f"guidkeep: There is no live record of {guid}.\n")
    assert client.get(there) is None
    last = client.create({"user": "Ann"}).guid
    assert run("delete", last, "--table") == 0
    assert capsys.readouterr() == ("", f"Deleted {last}.\n")


def test_list_prints_a_record_a_line(run: Run, client: Client, capsys: Capture, user: str) -> None:
    made = sorted((client.create({"user": user, "n": n}) for n in range(4)), key=lambda r: r.guid)
    texts = [f"{record.text}\n" for record in made]
    assert run("list", "--user", user) == 0
    assert run("list", "--user", user, "--limit", 2) == 0
    assert run("list", "--user", user, "--after", made[2].guid) == 0
    assert run("list", "--user", user, "--expires-before", "31d") == 0
    assert run("list", "--user", user, "--expires-before", "29d") == 0
    wanted = [*texts, *texts[:2], texts[3], *texts]
    assert capsys.readouterr() == ("".join(wanted), "")


def test_a_record_that_came_on_several_lines_is_on_one_in_a_list(
    run: Run, capsys: Capture, guid: str, user: str
) -> None:
    assert run("create", guid, f"user={user}", "kept:=[1,\n 2\r\n]") == 0
    assert '"kept":[1,\n 2\r\n]}' in capsys.readouterr().out
    assert run("list", "--user", user) == 0
    assert capsys.readouterr().out.endswith('"kept":[1,  2  ]}\n')


def test_list_of_all_is_more_than_a_page(
    run: Run, client: Client, capsys: Capture, user: str
) -> None:
    list(client.bulk({"user": user} for _ in range(1001)))
    assert run("list", "--user", user, "--all") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1001


@pytest.mark.parametrize(
    ("limit", "asked"), [(1, [2]), (2, [3]), (999, [1000]), (1500, [1000])], ids=str
)
def test_list_asks_for_no_more_than_it_lists_and_one(
    run: Run, client: Client, capsys: Capture, monkeypatch: Patch, user: str, limit: int,
    asked: list[int],
) -> None:  # fmt: skip
    list(client.bulk({"user": user} for _ in range(3)))
    limits: list[int] = []
    page = Client.list

    def listed(client: Client, **query: Any) -> Any:
        limits.append(query["limit"])
        return page(client, **query)

    monkeypatch.setattr(Client, "list", listed)
    assert run("list", "--user", user, "--limit", limit) == 0
    assert len(capsys.readouterr().out.splitlines()) == min(limit, 3)
    assert limits == asked


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["get", "x"], exits.REFUSED, "32 upper-case hexadecimal digits"),
        (["get", "9094e4c980c74043a4b586b420e69ddf"], exits.REFUSED, "GUIDs are upper-case: write"),
        (["get", "0" * 32], exits.NOT_FOUND, "There is no live record of 0000"),
        (["update", "0" * 32, "n=1"], exits.NOT_FOUND, "There is no live record of 0000"),
        (["update", "n=1"], exits.USAGE, "Write its GUID before the members."),
        (["create", "user:=x"], exits.USAGE, "user:=x is not JSON: write user=TEXT"),
        (["create", 'user:=1,"a":2}'], exits.USAGE, "is not JSON"),
        (["create", "user=A", "user=B"], exits.USAGE, "'user' is given twice: give it once."),
        (["create", "user=A", "x"], exits.USAGE, "'x' is not a member: write NAME=TEXT"),
        (["create", "=A"], exits.USAGE, "'=A' is not a member"),
        (["create", "guid=A"], exits.USAGE, "'guid' is not metadata: give it as the first word."),
        (["create", "expire=1"], exits.USAGE, "'expire' is not metadata: give it with --expire."),
        (["create", "ttl=60"], exits.USAGE, "'ttl' is not metadata: give it with --ttl."),
        (["create", "user=A", "expires=1"], exits.REFUSED, 'write "expire" for Unix time'),
        (["create", "user=A", "--ttl", "soon"], exits.USAGE, "--ttl: 'soon' is not a duration:"),
        (["create", "user=A", "--ttl", "0"], exits.REFUSED, "ttl must be at least 1"),
        (["create", "user=A", "--expire", "soon"], exits.USAGE, "--expire: 'soon' is not a time:"),
        (["create", "user=A", "--expire", "5"], exits.REFUSED, "must lie in the future"),
        (["create", "-"], exits.USAGE, "Standard input: The body is not JSON"),
        (["create", "user="], exits.REFUSED, "not blank"),
        (["delete", "A", "B", "--if-match", "x"], exits.USAGE, "name one GUID"),
        (["list", "--expires-before", "x"], exits.USAGE, "--expires-before: 'x' is not a time"),
        (["list", "--expires-before", "default"], exits.USAGE, "--expires-before: 'default' is"),
        (["list", "--user", ""], exits.REFUSED, "user must not be empty"),
        (["list", "--user", "\udcff"], exits.REFUSED, "user must be UTF-8; character 0 can't"),
        (["export", "--user", "\udcff"], exits.REFUSED, "user must be UTF-8; character 0 can't"),
        (["list", "--user", "x" * 70_000], exits.REFUSED, "can't be sent: URL too long."),
        (["export", "--user", "x" * 50_000], exits.REFUSED, "must not have more than"),
        (["get", "x", "--url", "there"], exits.USAGE, "--url: 'there' is not the address"),
        (
            ["get", "x", "--timeout", "0"],
            exits.USAGE,
            "--timeout: '0' is zero; write a duration above 0",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    run: Run, capsys: Capture, words: list[str], code: int, said: str
) -> None:
    assert run(*words) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("guidkeep: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("limit", ["0", "x", "-1", "²", "9" * 30])
def test_a_limit_is_a_number_above_0(run: Run, capsys: Capture, limit: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("list", "--limit", limit)
    assert ended.value.code == exits.USAGE
    assert "is not a number from 1 to 1000000000" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_told_with_what_to_do(
    run: Run, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setattr("guidkeep.client.synchronous.time.sleep", lambda _: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert run("get", "0" * 32, "--url", address) == exits.UNAVAILABLE
    said = capsys.readouterr().err
    assert f"There is no connection to {address}" in said
    assert said.endswith("Is it running there? --url or GUIDKEEP_URL says where it is.\n")


def test_an_interruption_ends_it(run: Run, capsys: Capture, monkeypatch: Patch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("guidkeep.cli.records.parse_words", interrupted)
    assert run("create", "user=Ann") == exits.INTERRUPTED
    assert capsys.readouterr().err == "guidkeep: Interrupted.\n"


def test_a_flag_goes_before_the_environment(
    run: Run, capsys: Capture, monkeypatch: Patch, running: Running
) -> None:
    monkeypatch.setenv("GUIDKEEP_URL", "http://127.0.0.1:9")
    assert run("create", "user=Ann", "--url", running.address) == 0


@pytest.mark.parametrize("address", ["localhost:8080", "http:h", "http:/h", "ftp://h"])
def test_an_address_that_is_none_is_told_with_where_it_stands(
    run: Run, capsys: Capture, monkeypatch: Patch, address: str
) -> None:
    assert run("list", "--url", address) == exits.USAGE
    assert capsys.readouterr().err.startswith("guidkeep: --url: ")
    monkeypatch.setenv("GUIDKEEP_URL", address)
    assert run("list") == exits.USAGE
    said = capsys.readouterr().err
    assert said.startswith("guidkeep: GUIDKEEP_URL: ")
    assert "write http://127.0.0.1:8080." in said


@pytest.mark.parametrize(
    "words", [["list"], ["get", "0" * 32], ["export"], ["import", "-"], ["health"], ["stats"],
              ["completion", "bash"], ["copy", "--from", "sqlite:///no", "--to", "none://"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_command_tells_of_a_variable_that_may_be_misspelt(
    run: Run, capsys: Capture, monkeypatch: Patch, words: list[str]
) -> None:
    monkeypatch.setenv("GUIDKEEP_URLL", "http://ann:s3cret@h")
    run(*words)
    said = capsys.readouterr().err
    told = "guidkeep: Warning: GUIDKEEP_URLL is not a variable of Guidkeep; GUIDKEEP_URL is one.\n"
    assert said.startswith(told)
    assert said.count("GUIDKEEP_URLL") == 1
    assert "s3cret" not in said
    monkeypatch.delenv("GUIDKEEP_URLL")
    run(*words)
    assert capsys.readouterr().err == said.removeprefix(told)
