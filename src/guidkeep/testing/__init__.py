"""What every store and every cache promises, as tests: run them on one of your own.

`stores` and `caches` are the suites, for pytest with pytest-asyncio and Hypothesis (the extra
`testing`). A test module imports all names of one and says, by a fixture, how an empty store or
cache is come by: docs/extending.md shows that.
"""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

# A failure shows what was compared, as in any test module.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))
