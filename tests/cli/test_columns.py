"""Names of columns in a CSV: how they are read, and which may be misspelt."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.cli import exits
from tests.cli.files import FILE, REFUSED

if TYPE_CHECKING:
    from guidkeep import Client
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch


RIGHT = {
    "as it should be": "guid,expire,user,n\nG,4102444800,U,x\n",
    "spaces after commas": "guid, expire, user, n\nG, 4102444800, U, x\n",
    "spaces everywhere": " guid , expire , user, n \nG, 4102444800 , U, x\n",
    "quotes and spaces": '"guid", "expire", "user", "n"\n"G", "4102444800", "U", "x"\n',
    "capitals": "GUID,Expire,USER,n\nG,4102444800,U,x\n",
    "a byte order mark": "\ufeffguid,expire,user,n\nG,4102444800,U,x\n",
    "a mark and quotes": '\ufeff"GUID","expire","User","n"\nG,4102444800,U,x\n',
    "a mark within quotes": '"\ufeffguid",expire,\u200buser,n\nG,4102444800,U,x\n',
    "semicolons": "guid;expire;user;n\nG;4102444800;U;x\n",
    "semicolons, CR LF": "guid;expire;user;n\r\nG;4102444800;U;x\r\n",
    "tabs": "guid\texpire\tuser\tn\nG\t4102444800\tU\tx\n",
    "bars": "guid|expire|user|n\nG|4102444800|U|x\n",
    "blank lines first": "\n\nguid,expire,user,n\nG,4102444800,U,x\n",
    "spaces around values": "guid,expire,user,n\n G , 4102444800 ,U,x\n",
    "no line end": "guid,expire,user,n\r\nG,4102444800,U,x",
    "old line ends": "guid,expire,user,n\rG,4102444800,U,x\r",
}  # fmt: skip


@pytest.mark.parametrize("content", RIGHT.values(), ids=RIGHT)
def test_names_are_read_as_they_are_meant(
    run: Run, client: Client, guid: str, user: str, content: str
) -> None:
    row = content.strip().splitlines()[-1]
    filled = re.sub(r"\bU\b", user, re.sub(r"\bG\b", guid, row))
    FILE.write_bytes(content.replace(row, filled).encode())
    assert run("import", FILE) == 0
    record = client.read(guid)
    assert (record.expire, record.metadata) == (4102444800, {"user": user, "n": "x"})


def test_a_column_ttl_is_seconds_from_now_or_a_duration(
    run: Run, client: Client, user: str
) -> None:
    FILE.write_text(f"user,TTL,expire\n{user}, 3600 ,\n{user},1h,\n{user},,4102444800\n{user},,\n")
    assert run("import", FILE) == 0
    spans = sorted(record.expire for record in client.export(user=user))
    assert spans[0] == pytest.approx(spans[1], abs=120)
    assert spans[2] - spans[1] == pytest.approx(30 * 86_400 - 3600, abs=240)
    assert spans[3] == 4102444800
    assert all(record.metadata.keys() == {"user"} for record in client.export(user=user))


@pytest.fixture
def declaring(monkeypatch: Patch) -> list[str]:
    """The properties that the service's schema declares."""
    properties: list[str] = []

    async def schema(_: object) -> Any:
        return {"properties": {name: {} for name in properties}} if properties else True

    monkeypatch.setattr("guidkeep.AsyncClient.metadata_schema", schema)
    return properties


@pytest.mark.parametrize("name", ["User", "GUID"])
def test_a_name_that_the_services_schema_declares_means_itself(
    run: Run, client: Client, user: str, declaring: list[str], name: str
) -> None:
    FILE.write_text(f"user,{name}\n{user},x\n")
    if name == "User":
        assert run("import", FILE) == exits.USAGE
    declaring.append(name)
    assert run("import", FILE) == 0
    [record] = client.export(user=user)
    assert record.metadata == {"user": user, name: "x"}


def test_one_that_is_misspelt_does_so_too_if_it_is_declared(
    run: Run, capsys: Capture, user: str, declaring: list[str]
) -> None:
    FILE.write_text(f"user,expires\n{user},soon\n")
    assert run("import", FILE) == exits.USAGE
    declaring.append("expires")
    assert run("import", FILE) == exits.FAILED  # this service's schema declares none
    assert "line" in json.loads(REFUSED.read_text())


MAY_BE = {
    "Expire Date": ("4102444800", "expire"), "Expiration-Date": ("soon", "expire"),
    "expiry_time": ("1", "expire"), "expired at": ("1", "expire"), "ExpiresOn": ("1", "expire"),
    "# expire": ("1", "expire"), "exp date:=": ("1", "expire"), "Time to live": ("60", "ttl"),
    "ttl_seconds": ("60", "ttl"), "TTL (s)": ("60", "ttl"),
    "id": ("G", "guid"), "ID": ("{g}", "guid"), "uuid": ("g", "guid"), "UUID": ("G", "guid"),
    "GUIDs": ("G", "guid"), "# guid": ("G", "guid"), "id:=": ("G", "guid"),
}  # fmt: skip


def _cell(text: str, guid: str) -> str:
    quoted = guid.lower().replace("9", "a")
    return {"G": guid, "g": quoted, "{g}": f"{{{quoted}}}"}.get(text, text)


@pytest.mark.parametrize("words", [[], ["--dry-run"]], ids=["import", "dry run"])
@pytest.mark.parametrize("name", MAY_BE)
def test_a_column_that_may_be_meant_for_a_member_that_no_column_is_is_not_metadata(
    run: Run, client: Client, capsys: Capture, guid: str, user: str, name: str, words: list[str]
) -> None:
    text, member = MAY_BE[name]
    FILE.write_text(f"user,{name}\n{user},{_cell(text, guid)}\n")
    assert run("import", FILE, *words) in (exits.USAGE, exits.FAILED)
    told = capsys.readouterr()
    column = name.removesuffix(":=")
    assert f'The column "{column}" may be meant for {member}: name it {member}.' in told.err
    assert told.out == ""
    assert [path.name for path in Path().iterdir()] == ["records"]
    assert not list(client.export(user=user))


@pytest.mark.parametrize("name", MAY_BE)
def test_it_is_metadata_beside_that_column_or_where_the_schema_declares_it(
    run: Run, client: Client, guid: str, user: str, declaring: list[str], name: str
) -> None:
    text, member = MAY_BE[name]
    is_json, plain = name.endswith(":="), name.removesuffix(":=")
    value = "5" if is_json else _cell(text, guid)
    FILE.write_text(f"user,{name},{member}\n{user},{value},\n")
    assert run("import", FILE) == 0
    declaring.append(plain)
    FILE.write_text(f"user,{name}\n{user},{value}\n")
    assert run("import", FILE) == 0
    shown = 5 if is_json else value
    for record in client.export(user=user):
        assert record.metadata == {"user": user, plain: shown}


@pytest.mark.parametrize(
    "name", ["id", "uuid", "expected", "experience", "expire_policy", "valid_until", "lifetime",
             "parent_guid", "ttl_policy", "userid", "exponent", "Name"],
)  # fmt: skip
def test_other_names_are_metadata(run: Run, client: Client, user: str, name: str) -> None:
    """The same for a number in a column id."""
    FILE.write_text(f"user,{name}\n{user},17\n")
    assert run("import", FILE) == 0
    [record] = client.export(user=user)
    assert record.metadata == {"user": user, name: "17"}


def test_a_guid_in_such_a_column_further_down_is_found_too(
    run: Run, client: Client, capsys: Capture, guid: str, user: str
) -> None:
    FILE.write_text(f"user,id\n{user},17\n{user}\n{user},{guid}\n{user},18\n")
    assert run("import", FILE) == exits.FAILED
    said = capsys.readouterr().err
    assert "Line 4 has a GUID in a column of metadata." in said
    assert "1 records before it are written, 1 refused: see records.refused." in said
    assert len(list(client.export(user=user))) == 1
