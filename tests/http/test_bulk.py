"""Many records in one request: a line in, a line out."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.http.handlers import bulk as bulk_module
from guidkeep.record import ENVELOPE, new_guid, parse_change
from tests.http.faulty import faulty
from tests.http.helpers import EACH_PAIR, SOON, Api, check_problem, faults, lines_of
from tests.support import MARCH_2015, app_of, make_registry, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support import Clock

LONG = 65_536
"""The longest accepted body, in bytes."""


async def bulk(api: Api, *lines: Any, **headers: str) -> list[dict[str, Any]]:
    """Returns the results of the lines; values that are not text are sent as JSON."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    answer = await api.post("/bulk", content="\n".join(texts), headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    return lines_of(answer)


def statuses(answers: list[dict[str, Any]]) -> list[int]:
    return [answer["status"] for answer in answers]


@EACH_PAIR
async def test_each_line_is_created_or_updated_as_a_post_would(api: Api, guid: str) -> None:
    there, new = guid, new_guid()
    await api.made(there, seats=1)
    answers = await bulk(
        api,
        {"user": "Bea"},
        {"guid": there, "seats": None, "note": 1.5},
        {"guid": new, "user": "Cy", "expire": SOON},
    )
    assert statuses(answers) == [201, 200, 201]
    assert [answer["line"] for answer in answers] == [1, 2, 3]
    assert [answer["guid"] for answer in answers[1:]] == [there, new]
    for answer in answers:
        assert answer.keys() == {"line", "status", "guid", "etag"}
        read = await api.get(f"/guid/{answer['guid']}")
        assert read.headers["etag"] == answer["etag"]
    assert (await api.get(f"/guid/{answers[0]['guid']}")).json()["user"] == "Bea"
    assert (await api.get(f"/guid/{there}")).json() | {"expire": ""} == {
        "guid": there, "expire": "", "user": "Ann", "note": 1.5
    }  # fmt: skip
    assert (await api.get(f"/guid/{new}")).json()["expire"] == str(SOON)


@EACH_PAIR
async def test_lines_of_one_guid_take_effect_in_their_order(api: Api, guid: str) -> None:
    count = 300
    lines = [{"guid": guid, "user": "Ann", f"m{at % 7}": at} for at in range(count)]
    others = [{"user": "Bea"}] * count
    mixed = [line for pair in zip(lines, others, strict=True) for line in pair]
    answers = await bulk(api, *mixed)
    assert [answer["line"] for answer in answers] == list(range(1, 2 * count + 1))
    assert statuses(answers[::2]) == [201] + [200] * (count - 1)
    assert statuses(answers[1::2]) == [201] * count
    tags = [int(answer["etag"].strip('"')) for answer in answers[::2]]
    assert tags == sorted(set(tags))
    found = (await api.get(f"/guid/{guid}")).json()
    assert {name: found[name] for name in (f"m{at % 7}" for at in range(count - 7, count))} == {
        f"m{at % 7}": at for at in range(count - 7, count)
    }


@EACH_PAIR
async def test_a_condition_holds_for_every_line(api: Api, guid: str) -> None:
    there, new = guid, new_guid()
    before = await api.made(there)
    lines = [{"guid": there, "user": "Bea"}, {"guid": new, "user": "Bea"}, {"user": "Bea"}]
    answers = await bulk(api, *lines, **{"If-None-Match": "*"})
    assert statuses(answers) == [412, 201, 201]
    assert answers[0]["guid"] == there
    assert statuses(await bulk(api, *lines, **{"If-None-Match": "*"})) == [412, 412, 201]
    assert (await api.get(f"/guid/{there}")).text == before.text


@EACH_PAIR
async def test_an_expired_record_is_created_afresh(api: Api, clock: Clock, guid: str) -> None:
    await api.made(guid, seats=1, expire=MARCH_2015 + 10)
    clock.advance(10)
    [answer] = await bulk(api, {"guid": guid, "user": "Bea"})
    assert answer["status"] == 201
    assert "seats" not in (await api.get(f"/guid/{guid}")).json()


@pytest.mark.parametrize(
    "line",
    [
        '{"user": ""}', '{"user": "Ann",}', "[]", '"Ann"', '{"user": "Ann", "user": "Bea"}',
        '{"user": "Ann", "expire": 1}', '{"expire": "soon", "user": 7}', '{"guid": "x"}',
        '{"guid": "9094e4c980c74043a4b586b420e69ddf", "user": "Ann"}', "{}", "\x00",
    ],
)  # fmt: skip
async def test_a_line_that_is_refused_gets_the_problem_that_a_post_gets(
    api: Api, line: str
) -> None:
    single = await api.post("/guid", content=line)
    good = {"user": "Ann"}
    first, refused, last = await bulk(api, good, line, good)
    assert (first["status"], last["status"]) == (201, 201)
    assert refused == {"line": 2, "status": 400, "guid": None, "problem": single.json()}
    check_problem(400, refused["problem"])


async def test_a_refused_line_names_its_guid_where_it_has_a_right_one(api: Api, guid: str) -> None:
    [answer] = await bulk(api, {"guid": guid, "user": ""})
    assert (answer["status"], answer["guid"]) == (400, guid)
    assert (await api.get(f"/guid/{guid}")).status_code == 404


async def test_blank_lines_are_counted_and_not_answered(api: Api) -> None:
    good = '{"user": "Ann"}'
    answer = await api.post("/bulk", content=f"\n \r\n{good}\r\n\n\t{good} \n\n")
    assert [line["line"] for line in lines_of(answer)] == [3, 5]
    assert statuses(lines_of(answer)) == [201, 201]


@pytest.mark.parametrize("content", ["", "\n", " \r\n\n"])
async def test_nothing_is_answered_with_nothing(api: Api, content: str) -> None:
    answer = await api.post("/bulk", content=content)
    assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.parametrize("extra", [ENVELOPE + 1, 200_000])
async def test_a_line_that_is_too_long_is_refused_and_the_others_are_not(
    api: Api, extra: int
) -> None:
    def line(length: int) -> str:
        return '{"user": "Ann", "pad": "%s"}' % ("x" * (length - 26))  # 26: the rest

    longest = line(LONG)
    assert len(longest) == LONG
    answers = await bulk(api, longest, line(LONG + extra), longest, line(LONG + extra))
    assert statuses(answers) == [201, 413, 201, 413]
    check_problem(413, answers[1]["problem"])
    assert answers[1]["guid"] is None


async def test_the_largest_record_goes_out_on_a_line_and_in_again(api: Api, guid: str) -> None:
    user = f"user of {guid}"
    text = f'{{"user":"{user}","pad":"'
    made = await api.put(f"/guid/{guid}", content=text + "x" * (LONG - len(text) - 2) + '"}')
    assert made.status_code == 201
    line = (await api.get("/export", params={"user": user})).text
    assert len(line) > LONG
    assert statuses(lines_of(await api.post("/bulk", content=line))) == [200]


async def test_a_line_has_little_more_room_than_a_body(api: Api) -> None:
    spaces = " " * (LONG + ENVELOPE - len('{"user":"Ann"}'))
    line = f'{{{spaces}"user":"Ann"}}'
    answers = await bulk(api, line, f" {line}")
    assert statuses(answers) == [201, 413]


async def test_a_crowd_of_lines_is_done_whole_and_in_order(api: Api) -> None:
    lines = [{"user": "Ann", "number": at} for at in range(3000)]
    answers = await bulk(api, *lines)
    assert statuses(answers) == [201] * len(lines)
    for at in (0, 1, 511, 512, 1500, 2999):
        read = await api.get(f"/guid/{answers[at]['guid']}")
        assert read.json()["number"] == at


async def test_lines_come_in_pieces_that_end_anywhere(api: Api) -> None:
    text = "".join(
        f'{{"user": "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} {at}"}}\n' for at in range(50)
    )

    async def pieces(size: int) -> AsyncIterator[bytes]:
        data = text.encode()
        for at in range(0, len(data), size):
            yield data[at : at + size]

    for size in (1, 7, 1000):
        answer = await api.post("/bulk", content=pieces(size))
        assert statuses(lines_of(answer)) == [201] * 50


async def test_a_header_that_is_wrong_refuses_the_whole(api: Api, guid: str) -> None:
    line = json.dumps({"guid": guid, "user": "Ann"})
    answer = await api.post("/bulk", content=line, headers={"If-None-Match": "nonsense"})
    assert faults(answer).keys() == {"If-None-Match"}
    assert (await api.get(f"/guid/{guid}")).status_code == 404


async def test_a_page_of_another_origin_can_not_write_in_bulk(api: Api, guid: str) -> None:
    line = json.dumps({"guid": guid, "user": "Ann"})
    answer = await api.post("/bulk", content=line, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert (await api.get(f"/guid/{guid}")).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_only_a_post_is_bulk(api: Api, method: str) -> None:
    answer = await api.request(method, "/bulk")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (StoreUnavailable("Down; nothing was written."), "store-unavailable"),
        (OutcomeUnknown("Perhaps."), "outcome-unknown"),
    ],
)
async def test_lines_that_the_store_can_not_do_are_503_and_the_others_go_on(
    tmp_path: Path, clock: Clock, fault: StoreUnavailable, kind: str
) -> None:
    async with faulty(tmp_path / "guidkeep.db", clock) as (api, store):
        good = json.dumps({"user": "Ann"})

        async def lines() -> AsyncIterator[bytes]:
            yield f"{good}\n".encode()
            store.fault = fault
            yield f"{good}\n{good}\n".encode()

        answers = lines_of(await api.post("/bulk", content=lines()))
        store.fault = None
        assert statuses(answers) == [503, 503, 503]
        for answer in answers:
            check_problem(503, answer["problem"])
            assert answer["problem"]["type"].endswith(kind)
        assert statuses(await bulk(api, good)) == [201]


async def test_a_fault_inside_is_a_500_line_that_hides_it(
    tmp_path: Path, clock: Clock, guid: str
) -> None:
    async with faulty(tmp_path / "guidkeep.db", clock) as (api, store):
        store.fault = ZeroDivisionError("secret")
        with capture_logs() as logs:
            answers = await bulk(api, {"user": "Ann"}, {"guid": guid, "user": "Ann"})
    assert statuses(answers) == [500, 500]
    assert [entry["event"] for entry in logs] == [
        "request failed"
    ]  # once, because a million may follow
    for answer in answers:
        check_problem(500, answer["problem"])
        assert "secret" not in json.dumps(answer)
        assert answer["problem"]["request_id"]


async def test_a_server_that_is_about_to_stop_takes_no_line(
    tmp_path: Path, clock: Clock, guid: str
) -> None:
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store, clock=clock)
        async with Api(app_of(registry, is_draining=lambda: True)) as api:
            line = json.dumps({"guid": guid, "user": "Ann"})
            [answer] = lines_of(await api.post("/bulk", content=f"\n{line}\n{line}"))
            assert (answer["line"], answer["status"]) == (2, 503)
            assert answer["problem"]["type"].endswith("stopping")
            assert (await api.get(f"/guid/{guid}")).status_code == 404
        await registry.close()


async def test_it_is_counted_by_its_lines(live: Api) -> None:
    async def lines(status: int) -> int:
        text = (await live.get("/metrics")).text
        name = f'guidkeep_bulk_lines_total{{status="{status}"}} '
        found = [line for line in text.splitlines() if line.startswith(name)]
        return int(float(found[0].split()[-1])) if found else 0

    before = [await lines(status) for status in (201, 400)]
    await bulk(live, {"user": "Ann"}, "nonsense", {"user": "Ann"})
    assert [await lines(status) for status in (201, 400)] == [before[0] + 2, before[1] + 1]


async def test_many_lines_share_few_commits(live: Api) -> None:
    async def commits() -> float:
        text = (await live.get("/metrics")).text
        name = 'guidkeep_batch_size_count{kind="write"} '
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    before = await commits()
    assert set(statuses(await bulk(live, *[{"user": "Ann"}] * 2000))) == {201}
    assert await commits() - before < 2000 / 4


@pytest.mark.parametrize("line", ["{", "x", "[]", "{}", '{"a"', '{"user":5}'])
async def test_the_answers_to_refused_lines_are_bounded_by_what_was_sent(
    api: Api, line: str
) -> None:
    """Each line has a result, at first with the reason; later without, to bound the response."""
    sent = f"{line}\n" * (20_000 // (len(line) + 1))
    answer = await api.post("/bulk", content=sent)
    lines = lines_of(answer)
    assert [one["line"] for one in lines] == list(range(1, len(lines) + 1))
    assert len(lines) == sent.count("\n")
    assert set(statuses(lines)) == {400}
    assert lines[99]["problem"]["detail"]
    assert len(answer.content) <= 70_000 + 21 * len(sent)
    for one in lines:
        if "guid" in one:
            check_problem(400, one["problem"])
        else:
            assert one["problem"] == {}


async def test_lines_of_the_usual_length_are_always_told_why_they_are_refused(api: Api) -> None:
    line = {"user": "", "guid": new_guid()}
    answers = await bulk(api, *[line] * 1000)
    assert {tuple(one["problem"]) for one in answers} == {
        ("type", "title", "status", "detail", "errors")
    }


async def test_a_line_that_is_done_after_many_that_were_refused_is_answered_as_ever(
    api: Api, guid: str
) -> None:
    *_, refused, done = await bulk(api, *["x"] * 2000, {"guid": guid, "user": "Ann"})
    assert refused == {"line": 2000, "status": 400, "problem": {}}
    assert (done["line"], done["status"], done["guid"]) == (2001, 201, guid)


async def test_however_many_requests_a_turn_of_the_loop_begins_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of all kinds count for the limit of an event-loop iteration."""
    turn, read = 0, Counter[int]()

    def noted(text: bytes, **keywords: Any) -> Any:
        read[turn] += 1 + len(text) // bulk_module.LONG
        return parse_change(text, **keywords)

    async def iterations() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    monkeypatch.setattr(bulk_module, "parse_change", noted)
    async with (
        opened_store(tmp_path / "guids.db") as store,
        Api(app_of(make_registry(store))) as api,
        asyncio.TaskGroup() as group,
    ):
        counting = group.create_task(iterations())
        lines = ["x", json.dumps({"user": "Ann"}), json.dumps({"note": "x" * 3000})] * 200
        answers = await asyncio.gather(*[bulk(api, *lines) for _ in range(8)])
        counting.cancel()
    assert [len(each) for each in answers] == [600] * 8
    assert sum(read.values()) == 8 * 200 * 5
    assert max(read.values()) < bulk_module.LINES_AT_ONCE + 3
