"""A value that is refused in one place is refused everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guidkeep.errors import StartupError
from guidkeep.record import new_guid
from guidkeep.units import parse_duration
from tests.http.helpers import faults

if TYPE_CHECKING:
    from tests.http.helpers import Api


async def test_a_method_that_is_not_known_finds_nothing_where_there_is_nothing(api: Api) -> None:
    answer = await api.request("TRACE", "/nowhere")
    assert answer.status_code == 404
    assert "allow" not in answer.headers


async def test_what_is_wrong_with_an_update_is_said_though_there_is_no_record(api: Api) -> None:
    headers = {"If-Match": "unquoted"}
    answer = await api.patch(f"/guid/{new_guid()}", json={"expire": 1}, headers=headers)
    assert faults(answer).keys() == {"/expire", "If-Match"}


async def test_a_parameter_that_there_is_not_is_refused_though_it_is_empty(api: Api) -> None:
    assert faults(await api.get("/guid?usr=")).keys() == {"usr"}
    assert (await api.get("/guid?user=&limit=&after=&expires_before=")).status_code == 200


def test_more_than_a_hundred_years_is_no_duration() -> None:
    with pytest.raises(StartupError, match="hundred years"):
        parse_duration("99999d")
    assert parse_duration("36500d") == 36_500 * 86_400
