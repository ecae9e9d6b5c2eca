"""The recipes of CONTRIBUTING, followed with a thing that exists: no list of files lags behind."""

from __future__ import annotations

import re
import subprocess
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.docs.pages import ROOT, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LINES = 10
"""Lines of a recipe at most, headings and blank ones apart."""
WIDTH = 120
"""Characters of such a line at most."""
NO_LISTS = (
    "CONTRIBUTING.md",  # has the recipes, and no more than its own marks are checked for
    "CHANGELOG.md",  # tells of the past
    "docs/measured",  # results
    "uv.lock",  # follows from pyproject.toml
    "tests/docs/test_recipes.py",
)
"""Where nothing has to be added. In every other file a list of such things could stand."""


class Instance(NamedTuple):
    """A thing that exists, of the kind of a recipe.

    Attributes:
        kind: the recipe's heading.
        name: in place of NAME.
        pattern: finds it where a list could stand, as a regular expression for git.
        mentions: the same in the files that the recipe names.
        used: files and folders that use the thing and list nothing, each with what it does there.
    """

    kind: str
    name: str
    pattern: str
    mentions: str
    used: Mapping[str, str] = MappingProxyType({})


INSTANCES = (
    Instance(
        "A setting",
        "sweep_batch",
        "sweep[_-]batch",
        "sweep[_-]batch",
        used={"tests/server/": "tests what it does"},
    ),
    Instance(
        "A command",
        "health",
        'cli[.]health|"health(:run)?"',
        "health",
        used={
            "Dockerfile": "asks for the health of the container",
            "compose.yaml": "the same",
            "tests/docs/test_compose.py": "tests that",
            "tests/cli/test_records.py": "one of the commands that need a server",
        },
    ),
    Instance(
        "A metric",
        "swept_records",
        "guidkeep_swept_records",
        "guidkeep_swept_records",
        used={
            "src/guidkeep/registry/registry.py": "counts",
            "src/guidkeep/http/handlers/stats.py": "is part of the response",
            "benchmarks/scenarios/sweep.py": "measures the sweep",
            "tests/http/test_stats.py": "tests the response",
            "tests/server/": "tests the counting",
        },
    ),
    Instance(
        "An error",
        "encoded-body",
        "EncodedBody|encoded-body",
        "EncodedBody|encoded-body",
        used={"src/guidkeep/http/requests.py": "raises it"},
    ),
    Instance(
        "A route",
        "stats",
        '"/stats"|http[.](handlers[.])?stats|[|] stats|stats [|]',
        "/stats|Stats",
        used={
            "src/guidkeep/http/console/api.js": "the console shows it",
            "benchmarks/scenarios/hostile/attacks.py": "one of the costly requests",
            "tests/cli/test_stats.py": "tests the command that shows it",
            "tests/console/test_strangers.py": "one of the paths that a stranger's page asks for",
            "tests/http/test_cross_site.py": "the same",
            "tests/http/test_hosts.py": "one of the paths that a wrong Host is refused for",
        },
    ),
    Instance(
        "A store",
        "mongodb",
        "[^a-z.]mongodb",
        "mongodb",
        used={
            "docs/decisions/0012-drivers-and-engines.md": "why this driver",
            "servers/mongodb.py": "its engine",
            "tests/docs/test_scaling.py": "the place of its URL in the page",
            "tests/consistency/test_nodes.py": "a share of the runs: FerretDB is slow",
            "tests/stores/test_contract.py": "fewer records: FerretDB is slow",
            "tests/stores/test_contract_outages.py": "an exception: its driver logs by itself",
            "tests/server/test_start.py": "one of the URLs that are refused or hide a password",
            "tests/test_urls.py": "the same",
        },
    ),
    Instance(
        "A cache",
        "redis",
        "caches[.]redis",
        "redis",
        used={
            "tests/consistency/": "plants faults in it",
            "tests/test_urls.py": "one of the URLs that hide a password",
        },
    ),
    Instance(
        "An engine",
        "galera",
        '"galera"',
        "galera",
        used={
            "tests/cluster/test_galera.py": "its own tests",
            "tests/docs/test_scaling.py": "the place of its URL in the page",
            "tests/stores/mysql/test_odd_server.py": "tests what its servers say",
        },
    ),
    Instance(
        "A rule on records",
        "ttl",
        "ttl must be at least 1",
        "ttl|Fault|SCHEMA|schema|parse_change",
        used={"tests/cli/test_records.py": "shows how a command prints a fault"},
    ),
)


def recipes() -> dict[str, str]:
    """The recipes' texts, by heading."""
    text = text_of("CONTRIBUTING.md").partition("\n## Recipes\n")[2].partition("\n## ")[0]
    heads = re.split(r"^### (.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(heads[::2], heads[1::2], strict=True))


def named(recipe: str, name: str) -> list[Path]:
    """The files and folders in backticks and links, with NAME filled in."""
    found = re.findall(r"`([^` ]+(?:/|\.(?:py|md|toml|json)))`|\]\(([^)#]+)\)", recipe)
    paths = ("".join(pair).replace("NAME", name) for pair in found)
    return [ROOT / path for path in paths if "/" in path or (ROOT / path).exists()]


def linked(recipe: str) -> set[Path]:
    """The files that a recipe only points at: an explanation, or a place for some cases."""
    return {ROOT / path for path in re.findall(r"\]\(([^)#]+)\)", recipe)}


def listed_in(pattern: str) -> set[str]:
    """The files in which a thing stands where a list could stand."""
    done = subprocess.run(
        ["git", "grep", "--untracked", "-lE", pattern, "--", *(f":!{path}" for path in NO_LISTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


EACH = pytest.mark.parametrize("instance", INSTANCES, ids=lambda row: row.kind)


def test_every_recipe_is_followed_and_short() -> None:
    found = recipes()
    assert sorted(found) == sorted(instance.kind for instance in INSTANCES)
    for kind, text in found.items():
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) <= LINES, kind
        assert max(map(len, lines)) <= WIDTH, kind


@EACH
def test_every_file_of_a_recipe_exists_and_has_the_thing(instance: Instance) -> None:
    recipe = recipes()[instance.kind]
    paths = named(recipe, instance.name)
    assert paths
    for path in paths:
        assert path.exists(), path
        if path.is_file() and path not in linked(recipe) and path.name != "test_settings.py":
            assert re.search(instance.mentions, path.read_text()) or instance.name in path.name, (
                f"{path} does not mention {instance.name}: the recipe names a file too many"
            )


@EACH
def test_the_thing_stands_in_no_list_but_those_of_its_recipe(instance: Instance) -> None:
    paths = named(recipes()[instance.kind], instance.name)
    known = [str(path.relative_to(ROOT)) for path in paths] + [*instance.used]
    own = [f"src/guidkeep/{room}/{instance.name}/" for room in ("stores", "caches")]
    for file in sorted(listed_in(instance.pattern)):
        assert file.startswith((*known, *own)), (
            f"{instance.name} is in {file}: CONTRIBUTING's recipe for {instance.kind!r} lacks that "
            "file, or it is a list that the table could make"
        )
