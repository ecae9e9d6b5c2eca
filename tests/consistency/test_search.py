"""The search finds an order if and only if there is one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.explain import explain
from tests.consistency.promises import Acknowledged, Bounded, strictly
from tests.consistency.search import Undecided, check
from tests.consistency.specification import Contradiction
from tests.consistency.stories import EPOCH, Story, by_the_book, record

ANN, BOB = record(1, user="Ann"), record(2, user="Bob")


@pytest.fixture
def story() -> Story:
    return Story()


def written(story: Story) -> Story:
    """Ann is created, then replaced by Bob."""
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 3), "put", BOB, user="Bob")
    return story


@given(seed=st.integers(), width=st.sampled_from([0.0, 1.0, 3.0, 8.0]))
def test_a_history_by_the_book_is_accepted(seed: int, width: float) -> None:
    assert check(by_the_book(seed, 60, width)) is None


@given(seed=st.integers(), width=st.sampled_from([0.0, 1.0, 3.0]))
def test_a_read_of_what_was_replaced_is_refused(seed: int, width: float) -> None:
    history = by_the_book(seed, 60, width)
    chance = random.Random(seed)  # noqa: S311 - which one to change
    pairs = [
        (old, read)
        for read in history
        if read.kind == "read" and read.seen
        for old in history
        if old.seen
        and old.seen.etag < read.seen.etag
        and any(
            old.returned < other.invoked and other.returned < read.invoked and other.has_written
            for other in history
        )
    ]
    if not pairs:
        return
    old, read = chance.choice(pairs)
    read.seen = old.seen
    failure = check(history)
    assert failure is not None
    assert explain(failure, strictly)


@given(seed=st.integers())
def test_an_answer_with_what_nobody_wrote_is_refused(seed: int) -> None:
    history = by_the_book(seed, 60, 3.0)
    read = next((one for one in history if one.kind == "read" and one.seen), None)
    if read is None or read.seen is None:
        return
    read.seen = read.seen._replace(members=(("user", "nobody"),), etag=10**6)
    failure = check(history)
    assert failure is not None
    assert failure.operation is read


def test_a_read_of_the_last_answered_write_is_right(story: Story) -> None:
    written(story).tell((4, 5), "read", BOB)
    assert check(story.operations) is None


def test_a_stale_read(story: Story) -> None:
    written(story).tell((4, 5), "read", ANN)
    assert check(story.operations) is not None


def test_a_read_may_see_either_during_a_write(story: Story) -> None:
    written(story).tell((2, 3), "read", ANN)
    story.tell((2, 3), "read", BOB)
    assert check(story.operations) is None


def test_a_read_that_goes_back(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 9), "put", BOB, user="Bob")
    story.tell((3, 4), "read", BOB)
    story.tell((5, 6), "read", ANN)
    assert check(story.operations) is not None


def test_a_lost_update(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 3), "patch", record(2, user="Ann", a="1"), a="1")
    story.tell((2, 3), "patch", record(3, user="Ann", b="2"), b="2")
    assert check(story.operations) is not None


def test_a_deleted_record_that_is_back(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 3), "delete", 204)
    story.tell((4, 5), "read", ANN)
    assert check(story.operations) is not None


def test_a_record_that_is_missing(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 3), "read", 404)
    assert check(story.operations) is not None


def test_two_creations_of_one_record(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((0, 1), "post", BOB, status=201, user="Bob")
    assert check(story.operations) is not None


@pytest.mark.parametrize(
    ("when", "skew", "there", "gone"),
    [
        ((3.0, 3.9), 0.0, True, False),
        ((3.0, 4.0), 0.0, True, True),
        ((4.0, 4.5), 0.0, False, True),
        ((3.0, 3.9), 1.0, False, True),
        ((4.0, 4.5), -1.0, True, False),
    ],
)
def test_expiry_is_exact(
    *, when: tuple[float, float], skew: float, there: bool, gone: bool
) -> None:
    short = record(1, EPOCH + 4, user="Ann")
    for answer, right in ((short, there), (404, gone)):
        story = Story()
        story.tell((0, 1), "post", short, status=201, user="Ann", expire=EPOCH + 4)
        story.tell(when, "read", answer, skew=skew)
        assert (check(story.operations) is None) == right


def test_an_expired_read_is_named(story: Story) -> None:
    short = record(1, EPOCH + 4, user="Ann")
    story.tell((0, 1), "post", short, status=201, user="Ann", expire=EPOCH + 4)
    story.tell((4.25, 5), "read", short)
    failure = check(story.operations)
    assert failure is not None
    assert "expired 0.250 s before" in explain(failure, strictly)


def test_a_creation_after_the_end_revives_nothing(story: Story) -> None:
    short = record(1, EPOCH + 4, user="Ann", a="1")
    story.tell((0, 1), "post", short, status=201, user="Ann", a="1", expire=EPOCH + 4)
    story.tell((5, 6), "post", record(2, user="Bob", a="1"), status=201, user="Bob")
    assert check(story.operations) is not None


def test_an_open_write_may_happen_late_or_never(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 3), "put", None, user="Bob")
    story.tell((4, 5), "read", ANN)
    assert check(story.operations) is None
    story.tell((6, 7), "read", record(7, user="Bob"))
    assert check(story.operations) is None
    story.tell((8, 9), "read", ANN)
    assert check(story.operations) is not None


def test_an_open_write_can_not_happen_before_it_was_asked_for(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 3), "read", BOB)
    story.tell((4, 5), "put", None, user="Bob")
    assert check(story.operations) is not None


def test_several_open_writes_may_happen_at_once(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    for name in "abc":
        story.tell((2, 3), "patch", None, changes={name: "1"})
    story.tell((4, 5), "read", record(9, user="Ann", a="1", b="1", c="1"))
    assert check(story.operations) is None


def test_a_503_that_wrote_nothing_tells_nothing(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 3), "put", 503, user="Bob", problem="store-unavailable")
    story.tell((4, 5), "read", BOB)
    assert check(story.operations) is not None


def test_an_etag_stands_for_one_record(story: Story) -> None:
    written(story).tell((4, 5), "read", record(2, user="Ann"))
    with pytest.raises(Contradiction, match="two records"):
        check(story.operations)


def test_an_etag_may_change_alone_after_an_open_write_only(story: Story) -> None:
    written(story).tell((6, 7), "read", record(3, user="Bob"))
    assert check(story.operations) is not None
    story.tell((4, 5), "delete", None)
    assert check(story.operations) is None


def test_a_condition_holds_for_what_is_there(story: Story) -> None:
    written(story).tell((4, 5), "put", 412, if_match=1, user="Eve")
    story.tell((4, 5), "put", record(3, user="Eve"), if_match=2, user="Eve")
    assert check(story.operations) is None


@pytest.mark.parametrize("if_match", [1, 2])
def test_a_condition_that_is_judged_wrongly(story: Story, if_match: int) -> None:
    answer = record(3, user="Eve") if if_match == 1 else 412
    written(story).tell((4, 5), "put", answer, if_match=if_match, user="Eve")
    assert check(story.operations) is not None


def test_not_modified_is_an_answer_too(story: Story) -> None:
    written(story).tell((4, 5), "read", 304, if_none_match=2)
    assert check(story.operations) is None
    story.tell((6, 7), "read", 304, if_none_match=1)
    assert check(story.operations) is not None


def test_after_a_flush_reads_may_go_back_during_a_write_alone(story: Story) -> None:
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    story.tell((2, 9), "put", BOB, user="Bob")
    story.tell((3, 4), "read", BOB)
    story.tell((5, 6), "read", ANN)
    promised = Acknowledged(story.operations, [(2.5, 2.6)])
    assert check(story.operations, begins=promised) is None
    assert check(story.operations, begins=Acknowledged(story.operations, [(9.5, 9.6)])) is not None
    story.tell((10, 11), "read", ANN)
    assert check(story.operations, begins=promised) is not None


@pytest.mark.parametrize(("at", "right"), [(4.5, True), (5.5, False)])
def test_a_stale_read_is_bounded_by_age(story: Story, at: float, *, right: bool) -> None:
    written(story).tell((at, at + 0.1), "read", ANN)
    cut = Bounded(age=2, began=1.0, ended=9.0)
    assert (check(story.operations, begins=cut) is None) == right


def test_staleness_ends_with_its_time(story: Story) -> None:
    written(story).tell((4.5, 5), "read", ANN)
    assert check(story.operations, begins=Bounded(age=2, began=0, ended=2.4)) is not None
    assert check(story.operations, begins=Bounded(age=2, began=0, ended=2.6)) is None


def test_the_node_that_is_cut_off_reads_the_store(story: Story) -> None:
    written(story).tell((4, 4.1), "read", ANN)
    cut = Bounded(age=2, began=0, ended=9, strict_nodes=frozenset({0}))
    assert check(story.operations, begins=cut) is not None


def test_the_search_gives_up_in_the_end() -> None:
    story = Story()
    story.tell((0, 1), "post", ANN, status=201, user="Ann")
    for number in range(12):
        story.tell((2, 3), "patch", None, changes={f"m{number}": "1"})
    story.tell((4, 5), "read", record(9, user="nobody"))
    with pytest.raises(Undecided):
        check(story.operations, bound=2000)


def test_an_explanation_leaves_out_what_does_not_matter(story: Story) -> None:
    written(story)
    for at in range(20):
        story.tell((4 + at, 4.5 + at), "read", BOB)
    story.tell((30, 31), "read", ANN)
    failure = check(story.operations)
    assert failure is not None
    shown = explain(failure, strictly)
    assert shown.count("PUT") == 1
    assert shown.count("GET") == 2  # as the response in question, and in its place
