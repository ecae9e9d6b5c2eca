"""The registry's tests, with the client and a live server in place of the registry.

They are the tests of `tests/registry/test_operations.py` that use a registry from outside.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from guidkeep import AsyncClient
from guidkeep.client.arguments import ANY, IfMatch
from guidkeep.http.conditions import UNCONDITIONAL
from guidkeep.jsontext import format_object
from guidkeep.record import Record
from guidkeep.registry.access import Written
from guidkeep.registry.paging import Page
from tests.registry.test_operations import (
    test_a_condition_that_fails_is_told_though_nothing_would_change,
    test_a_generated_guid_is_one,
    test_a_guid_in_the_url_that_is_none_is_a_fault_of_the_request,
    test_a_list_says_whether_there_is_more,
    test_a_version_begins_with_the_time_of_the_write_in_milliseconds,
    test_a_version_is_greater_than_the_one_before_whatever_the_clock_does,
    test_an_update_may_not_leave_what_the_schema_forbids,
    test_if_match_on_a_guid_that_is_to_be_generated_fails,
)
from tests.support import Clock, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from guidkeep import client
    from guidkeep.http.conditions import Preconditions
    from guidkeep.record import Change, Query

__all__ = [
    "test_a_condition_that_fails_is_told_though_nothing_would_change",
    "test_a_generated_guid_is_one",
    "test_a_guid_in_the_url_that_is_none_is_a_fault_of_the_request",
    "test_a_list_says_whether_there_is_more",
    "test_a_version_begins_with_the_time_of_the_write_in_milliseconds",
    "test_a_version_is_greater_than_the_one_before_whatever_the_clock_does",
    "test_an_update_may_not_leave_what_the_schema_forbids",
    "test_if_match_on_a_guid_that_is_to_be_generated_fails",
]


class Remote:
    """A registry's operations, performed by a client."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    def hit(self, _: str) -> None:
        """Returns None: the client has no cache."""

    async def create_or_update(
        self, change: Change, condition: Preconditions = UNCONDITIONAL
    ) -> Written:
        if condition.if_none_match:
            record = await self._client.create(_text(change), guid=change.guid)
            return Written(_record(record), created=True)
        written = await self._client.create_or_update(
            _text(change), guid=change.guid, if_match=_tags(condition)
        )
        return Written(_record(written.record), written.created)

    async def update(self, guid: str, change: Change) -> Record:
        return _record(await self._client.update(guid, _text(change)))

    async def read(self, guid: str) -> Record:
        return _record(await self._client.read(guid))

    async def delete(self, guid: str) -> None:
        await self._client.delete(guid)

    async def list(self, query: Query) -> Page:
        page = await self._client.list(limit=query.limit, after=query.after)
        return Page([_record(record) for record in page.records], page.after)


def _text(change: Change) -> str:
    return format_object(dict(change.metadata))


def _tags(condition: Preconditions) -> IfMatch:
    return ANY if condition.if_match is None else ", ".join(condition.if_match)


def _record(told: client.Record) -> Record:
    metadata = re.sub(r'^\{"guid":"\w+","expire":"\d+",?', "{", told.text)
    version = int(told.etag.strip('"')) if told.etag else 0
    return Record(told.guid, told.expire, version, metadata)


@pytest.fixture
def clock() -> Clock:
    """The schema of this server."""
    return Clock()


@pytest.fixture
async def registry(clock: Clock, tmp_path: Path) -> AsyncIterator[Remote]:
    with served(clock, store=f"sqlite:///{tmp_path / 'guidkeep.db'}") as running:
        async with AsyncClient(running.address) as client:
            yield Remote(client)
