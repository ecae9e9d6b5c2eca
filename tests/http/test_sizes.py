"""A record grows no larger than a body may be, and a page stays within bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from guidkeep.errors import BodyTooLarge
from guidkeep.record import Query
from guidkeep.registry import paging
from tests.support import GUID, MARCH_2015, change, make_registry

if TYPE_CHECKING:
    from guidkeep.registry.registry import Registry
    from guidkeep.stores import Store


async def test_updates_make_a_record_no_larger_than_a_body_may_be(store: Store) -> None:
    registry = make_registry(store, max_record=100)
    await registry.create_or_update(change(now=MARCH_2015))
    filled = json.dumps({"more": "é" * 30}, ensure_ascii=False)
    await registry.update(GUID, change(body=filled, now=MARCH_2015))
    with pytest.raises(BodyTooLarge, match="100 bytes"):
        await registry.update(GUID, change(body='{"much": "more than that"}', now=MARCH_2015))
    record = await registry.read(GUID)
    assert "much" not in record.metadata


async def test_a_page_of_large_records_has_fewer_and_the_next_goes_on(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_PAGE", 250)
    body = json.dumps({"user": "Ann", "pad": "\N{GRINNING FACE}" * 25}, ensure_ascii=False)
    made = [f"{number:032X}" for number in range(5)]
    for guid in made:
        await registry.create_or_update(change(guid, body, now=MARCH_2015))
    met, after = [], None
    while True:
        page = await registry.list(Query(limit=4, after=after))
        assert 1 <= len(page.records) <= 2
        met += [record.guid for record in page.records]
        if not page.more:
            break
        after = met[-1]
    assert met == made


async def test_a_record_larger_than_a_page_comes_alone(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_PAGE", 1)
    for number in range(2):
        await registry.create_or_update(change(f"{number:032X}", now=MARCH_2015))
    page = await registry.list(Query())
    assert len(page.records) == 1
    assert page.more
