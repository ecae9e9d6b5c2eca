"""The outcome of a failure for the codes of each engine: not sent, refused or in doubt."""

from __future__ import annotations

from itertools import product

import pytest

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.stores.mysql import adapter as mysql
from guidkeep.stores.mysql.adapter import CODES as MYSQL
from guidkeep.stores.postgresql import adapter as postgresql
from guidkeep.stores.postgresql.adapter import CODES as POSTGRESQL
from guidkeep.stores.remote.failures import (
    Codes,
    Failure,
    InDoubt,
    NotSent,
    Refused,
    Report,
    judge,
    read_error,
    unreached,
    write_error,
)
from guidkeep.urls import Address

ENGINES = {"mysql": MYSQL, "postgresql": POSTGRESQL}
ADAPTERS: dict[str, mysql.Adapter | postgresql.Adapter] = {
    "mysql": mysql.Adapter(Address.parse("mysql://here/x", port=1), tls=None, timeout=1.0),
    "postgresql": postgresql.Adapter(Address.parse("postgresql://here/x", port=1), (None,)),
}
REFUSED = [
    *(("mysql", code) for code in ("1020", "1205", "1213", "1062", "1047", "1146", "1290", "1114")),
    *(("postgresql", code) for code in ("23514", "40001", "40P01", "42501", "53100", "57014")),
]
DOUBTFUL = [
    *(("mysql", code) for code in ("1317", "1053", "1180", "1105", "3100")),
    *(("postgresql", code) for code in ("08006", "40003", "58030", "XX000")),
]


@pytest.mark.parametrize(("engine", "code"), REFUSED)
def test_an_error_that_comes_before_any_commit_is_a_refusal(engine: str, code: str) -> None:
    failure = judge(Report("no", code, is_response=True), ENGINES[engine], sent=True)
    assert type(failure) is Refused


@pytest.mark.parametrize(("engine", "code"), DOUBTFUL)
def test_an_error_that_may_come_after_a_commit_leaves_the_outcome_open(
    engine: str, code: str
) -> None:
    report = Report("oh", code, is_response=True)
    assert type(judge(report, ENGINES[engine], sent=True)) is InDoubt
    assert type(judge(report, ENGINES[engine], sent=False)) is Refused


@pytest.mark.parametrize("codes", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("is_lost", [False, True])
def test_without_a_response_a_sent_statement_is_in_doubt_and_an_unsent_one_is_not(
    codes: Codes, is_lost: bool
) -> None:
    report = Report("silence", is_lost=is_lost)
    assert type(judge(report, codes, sent=True)) is InDoubt
    assert type(judge(report, codes, sent=False)) is NotSent


@pytest.mark.parametrize(
    ("engine", "code"), [("mysql", "2006"), *(("postgresql", c) for c in ("57P01", "25P03"))]
)
def test_a_connection_that_ended_before_the_statement_began_did_not_send_it(
    engine: str, code: str
) -> None:
    for sent, is_response in product((False, True), repeat=2):
        report = Report("gone", code, is_response=is_response, is_lost=True)
        failure = judge(report, ENGINES[engine], sent=sent)
        assert type(failure) is NotSent
        assert failure.again


@pytest.mark.parametrize(
    ("engine", "code", "again"),
    [
        *(("mysql", code, True) for code in ("1020", "1213", "1047")),
        *(("mysql", code, False) for code in ("1205", "1062", "1290")),
        *(("postgresql", code, True) for code in ("40001", "40P01")),
        *(("postgresql", code, False) for code in ("23514", "25006")),
    ],
)
def test_only_a_statement_that_lost_against_another_is_sent_again(
    engine: str, code: str, again: bool
) -> None:
    report = Report("no", code, is_response=True)
    assert judge(report, ENGINES[engine], sent=True).again is again


@pytest.mark.parametrize(
    ("engine", "code", "kept"),
    [
        *(("mysql", code, True) for code in ("1062", "1213", "1114", "1146", "1406")),
        *(("mysql", code, False) for code in ("1290", "1836", "1047", "1153", "9999")),
        *(
            ("postgresql", code, True)
            for code in ("0A000", "21000", "23514", "40001", "53100", "54000", "57014", "P0001")
        ),
        *(
            ("postgresql", code, False)
            for code in ("08006", "25006", "25P02", "57P01", "58030", "XX000")
        ),
    ],
)
def test_a_connection_is_kept_after_the_errors_that_are_the_statement_s_own(
    engine: str, code: str, kept: bool
) -> None:
    assert ADAPTERS[engine].keeps(code) is kept


def test_an_unsent_and_a_refused_write_wrote_nothing_and_one_in_doubt_is_unknown() -> None:
    for failure in (NotSent("a"), Refused("b"), unreached(Report("c"), MYSQL)):
        error = write_error(failure)
        assert type(error) is StoreUnavailable
        assert "nothing was written" in str(error)
        assert error.__cause__ is failure
    assert type(write_error(InDoubt("d"))) is OutcomeUnknown


@pytest.mark.parametrize("kind", [NotSent, Refused, InDoubt])
def test_a_read_that_failed_is_unavailable_and_has_no_outcome(kind: type[Failure]) -> None:
    assert type(read_error(kind("x"))) is StoreUnavailable


@pytest.mark.parametrize(
    ("engine", "code"),
    [("mysql", "1047"), ("mysql", "1290"), ("mysql", "1836"), ("postgresql", "25006")],
)
def test_a_server_that_takes_no_writes_is_left_by_all_connections(engine: str, code: str) -> None:
    assert code in ADAPTERS[engine].unfit


@pytest.mark.parametrize("engine", ADAPTERS)
def test_a_fault_in_the_program_is_not_taken_for_a_server_that_may_come_back(engine: str) -> None:
    report = ADAPTERS[engine].report(TypeError("fault"))
    failure = unreached(report, ENGINES[engine])
    assert not failure.again
    assert not failure.is_timeout
    assert not judge(report, ENGINES[engine], sent=True).again
    assert ADAPTERS[engine].report(TimeoutError()).is_timeout
    assert unreached(ADAPTERS[engine].report(ConnectionResetError()), ENGINES[engine]).again
