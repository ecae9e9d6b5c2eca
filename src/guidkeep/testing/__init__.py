"""The promises of every store and every cache, as tests that also run on other implementations.

`stores` and `caches` are the suites, for pytest with pytest-asyncio and Hypothesis (the extra
`testing`). A test module imports all names of one suite and provides an empty store or cache by a
fixture, as docs/extending.md shows.
"""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

# A failure shows the compared values, as in any test module.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))
