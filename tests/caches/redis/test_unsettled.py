"""A node's memory of its failures, and the end of its distrust of a server."""

from __future__ import annotations

from guidkeep.caches.redis.breaker import FAILURES, Breaker
from guidkeep.caches.redis.unsettled import Unsettled
from tests.support import GUID, Clock

OTHER = "0" * 32


def unsettled(clock: Clock, limit: int = 10) -> Unsettled:
    return Unsettled(lasting=75, clock=clock, limit=limit)


def test_a_guid_is_remembered_until_it_was_dropped() -> None:
    remembered = unsettled(Clock(0))
    assert not remembered
    remembered.remember(GUID)
    assert GUID in remembered
    assert OTHER not in remembered
    assert remembered.pending() == [GUID]
    mark = remembered.mark(GUID)
    assert remembered.forget(GUID, mark)
    assert GUID not in remembered
    assert not remembered
    assert not remembered.forget(GUID, mark)
    assert not remembered.forget(GUID, remembered.mark(GUID))


def test_a_drop_does_not_make_up_for_a_failure_after_it_began() -> None:
    remembered = unsettled(Clock(0))
    remembered.remember(GUID)
    mark = remembered.mark(GUID)
    remembered.remember(GUID)
    assert not remembered.forget(GUID, mark)
    assert GUID in remembered


def test_a_failure_so_long_ago_that_no_entry_is_left_is_forgotten() -> None:
    clock = Clock(0)
    remembered = unsettled(clock)
    remembered.remember(GUID)
    clock.advance(50)
    remembered.remember(OTHER)
    clock.advance(25)
    remembered.expire()
    assert GUID not in remembered
    assert OTHER in remembered
    clock.advance(50)
    remembered.expire()
    assert not remembered


def test_a_guid_that_fails_again_is_remembered_for_longer() -> None:
    clock = Clock(0)
    remembered = unsettled(clock)
    remembered.remember(GUID)
    remembered.remember(OTHER)
    clock.advance(50)
    remembered.remember(GUID)
    clock.advance(25)
    remembered.expire()
    assert remembered.pending() == [GUID]


def test_beyond_its_limit_it_trusts_in_nothing_until_nothing_can_be_left() -> None:
    clock = Clock(0)
    remembered = unsettled(clock, limit=1)
    remembered.remember(GUID)
    assert OTHER not in remembered
    remembered.remember(OTHER)
    assert len(remembered) == 1
    clock.advance(74)
    remembered.expire()
    assert "F" * 32 in remembered
    clock.advance(1)
    assert "F" * 32 not in remembered
    remembered.expire()
    assert not remembered


def test_a_breaker_opens_after_some_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        assert breaker.failed() is None
    breaker.succeeded()
    for _ in range(FAILURES - 1):
        assert breaker.failed() is None
    assert not breaker.is_open
    assert breaker.failed()
    assert breaker.is_open


def test_a_breaker_that_has_just_closed_opens_at_the_next_failure() -> None:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed()
    breaker.close()
    assert not breaker.is_open
    assert breaker.failed()
    assert breaker.is_open


def test_failed_probes_make_the_pauses_longer_until_a_call_succeeds() -> None:
    breaker = Breaker(pauses=float)
    pauses = [breaker.failed() for _ in range(FAILURES + 2)]
    assert pauses == [None, None, 0, 1, 2]
    breaker.succeeded()
    assert [breaker.failed() for _ in range(FAILURES)][-1] == 1
