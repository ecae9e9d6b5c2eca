"""Lists that nothing can make are those of the tables: a failure says what to write where."""

from __future__ import annotations

import importlib
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import caches, stores
from servers import ENGINES, Engine
from tests.docs.pages import ROOT, text_of
from tests.stores.test_contract_cost import EXAMINED
from tests.stores.test_contract_logs import QUOTE

if TYPE_CHECKING:
    from guidkeep.backends import Backend

PROJECT: dict[str, Any] = tomllib.loads(text_of("pyproject.toml"))
KINDS = {"stores": stores.BACKENDS, "caches": caches.BACKENDS}
BACKENDS = [(kind, backend) for kind, backends in KINDS.items() for backend in backends]
EACH_BACKEND = pytest.mark.parametrize(
    ("kind", "backend"), BACKENDS, ids=[backend.name for _, backend in BACKENDS]
)


def test_every_extra_of_a_backend_is_in_pyproject_and_in_the_extra_all() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    named = [backend.extra for _, backend in BACKENDS if backend.extra]
    assert sorted({*extras} - {"all", "testing"}) == sorted(named), (
        "pyproject.toml: optional-dependencies"
    )
    assert extras["all"] == [f"guidkeep[{','.join(named)}]"], "pyproject.toml: the extra `all`"


def test_every_package_of_an_extra_is_in_the_decision_on_dependencies() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    rows = re.findall(
        r"^\| (.*?) \| `(\w+)` \|", text_of("docs/decisions/0002-dependencies.md"), re.MULTILINE
    )
    found = {(name, extra) for names, extra in rows for name in names.split(", ")}
    assert found == {
        (package.partition(">=")[0], extra)
        for extra, packages in extras.items()
        if extra != "all"
        for package in packages
    }


def test_every_backend_is_in_the_contract_of_independence() -> None:
    contracts = {one["name"]: one for one in PROJECT["tool"]["importlinter"]["contracts"]}
    listed = contracts["Stores and caches are independent of each other"]["modules"]
    assert listed == [f"guidkeep.{kind}.{backend.name}" for kind, backend in BACKENDS], (
        "pyproject.toml: modules of this contract"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_folder_of_a_backend_is_in_its_table(kind: str) -> None:
    mains = (ROOT / "src/guidkeep" / kind).glob(f"*/{kind.removesuffix('s')}.py")
    assert {path.parent.name for path in mains} <= {backend.name for backend in KINDS[kind]}


@EACH_BACKEND
def test_the_opener_of_a_backend_exists(kind: str, backend: Backend) -> None:
    assert callable(backend.imported(f"guidkeep.{kind}"))
    assert all("://" in url for url in backend.urls)


@EACH_BACKEND
def test_every_backend_with_a_driver_has_an_engine_for_the_tests(
    kind: str, backend: Backend
) -> None:
    served = [engine for engine in ENGINES if backend.name in (engine.store, engine.cache)]
    assert bool(served) == bool(backend.extra), "servers/__init__.py: ENGINES"
    if kind == "stores":
        assert backend.name in QUOTE, "tests/stores/test_contract_logs.py: QUOTE"
        assert backend.name in EXAMINED, "tests/stores/test_contract_cost.py: EXAMINED"


@EACH_BACKEND
def test_every_url_of_a_backend_is_in_the_page_of_operating(kind: str, backend: Backend) -> None:
    assert any(f"`{url}" in text_of("docs/operating.md") for url in backend.urls), kind


@pytest.mark.parametrize("page", ["README.md", "docs/scaling.md"])
@EACH_BACKEND
def test_every_scheme_and_extra_of_a_backend_is_in_the_pages_that_compare_them(
    kind: str, backend: Backend, page: str
) -> None:
    text = text_of(page)
    assert f"{backend.schemes[0]}://" in text, kind
    extra = backend.extra
    assert not extra or re.search(rf"`{extra}`|guidkeep\[([\w,]+,)?{extra}\b", text), page


@pytest.mark.parametrize("engine", ENGINES, ids=lambda row: row.name)
def test_an_engine_is_one_of_a_store_or_a_cache_and_can_be_started(engine: Engine) -> None:
    module = importlib.import_module(f"servers.{engine.name}")
    assert callable(module.started)
    assert callable(module.at)
    assert bool(engine.store) != bool(engine.cache)
    names = {backend.name for _, backend in BACKENDS}
    assert {engine.store or engine.cache} <= names
