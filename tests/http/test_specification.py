"""The examples of the specification, unchanged."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.http.helpers import EACH_PAIR, detail, faults
from tests.support import GUID, MARCH_2015

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.http.helpers import Api
    from tests.support import Clock

pytestmark = EACH_PAIR

EXPIRE, LATER = "1427736345", "1427822745"
CREATE = """{
"expire": "1427736345",
"user": "Cylance, Inc."
}
"""
CREATE_WITHOUT_GUID = """{
"user": "Cylance, Inc."
}
"""
UPDATE_AS_PRINTED = """{
   "expire": "1427822745",
}
"""
UPDATE = """{
   "expire": "1427822745"
}
"""
RECORD = {"guid": GUID, "expire": EXPIRE, "user": "Cylance, Inc."}


@pytest.fixture
async def spec(api: Api) -> AsyncIterator[Api]:
    """The API in March 2015, without a record of the specification's GUID."""
    await api.delete(f"/guid/{GUID}")
    yield api
    await api.delete(f"/guid/{GUID}")


async def test_create_with_a_guid_answers_as_printed(spec: Api) -> None:
    answer = await spec.post(f"/guid/{GUID}", content=CREATE)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json().items()) == list(RECORD.items())


async def test_create_without_a_guid_generates_one_that_lives_thirty_days(spec: Api) -> None:
    answer = await spec.post("/guid", content=CREATE_WITHOUT_GUID)
    assert answer.status_code == 201
    made = answer.json()
    assert list(made) == ["guid", "expire", "user"]
    assert made == RECORD | {"guid": made["guid"]}
    assert len(made["guid"]) == 32
    assert set(made["guid"]) <= set("0123456789ABCDEF")
    assert int(made["expire"]) == MARCH_2015 + 30 * 24 * 60 * 60
    assert (await spec.get(f"/guid/{made['guid']}")).json() == made


async def test_read_answers_as_printed(spec: Api) -> None:
    await spec.post(f"/guid/{GUID}", content=CREATE)
    for _ in range(2):  # the second may come from the cache
        answer = await spec.get(f"/guid/{GUID}")
        assert answer.status_code == 200
        assert list(answer.json().items()) == list(RECORD.items())


async def test_update_answers_as_printed(spec: Api) -> None:
    await spec.post(f"/guid/{GUID}", content=CREATE)
    answer = await spec.post(f"/guid/{GUID}", content=UPDATE)
    assert answer.status_code == 200
    assert list(answer.json().items()) == list((RECORD | {"expire": LATER}).items())
    assert (await spec.get(f"/guid/{GUID}")).json() == RECORD | {"expire": LATER}


async def test_the_printed_update_has_a_comma_too_many_and_changes_nothing(spec: Api) -> None:
    await spec.post(f"/guid/{GUID}", content=CREATE)
    answer = await spec.post(f"/guid/{GUID}", content=UPDATE_AS_PRINTED)
    assert answer.status_code == 400
    assert "comma" in detail(answer)
    assert (await spec.get(f"/guid/{GUID}")).json() == RECORD


async def test_delete_has_no_output_and_deletes_the_data(spec: Api) -> None:
    await spec.post(f"/guid/{GUID}", content=CREATE)
    answer = await spec.delete(f"/guid/{GUID}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert (await spec.get(f"/guid/{GUID}")).status_code == 404


async def test_today_the_printed_expire_lies_in_the_past(spec: Api, clock: Clock) -> None:
    clock.now = time.time()
    answer = await spec.post(f"/guid/{GUID}", content=CREATE)
    assert "2015-03-30T17:25:45Z" in faults(answer)["/expire"]


async def test_the_examples_work_today_with_an_expire_in_the_future(
    spec: Api, clock: Clock
) -> None:
    clock.now = time.time()
    future = CREATE.replace(EXPIRE, "4102444800")
    answer = await spec.post(f"/guid/{GUID}", content=future)
    assert (answer.status_code, answer.json()) == (201, RECORD | {"expire": "4102444800"})
    answer = await spec.post(f"/guid/{GUID}", content=UPDATE.replace(LATER, "4102531200"))
    assert (answer.status_code, answer.json()) == (200, RECORD | {"expire": "4102531200"})
    assert (await spec.get(f"/guid/{GUID}")).json() == RECORD | {"expire": "4102531200"}
    assert (await spec.delete(f"/guid/{GUID}")).status_code == 204
