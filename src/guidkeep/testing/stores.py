"""The contract of a store: `from guidkeep.testing.stores import *`, and a fixture `new_url`."""

from guidkeep.testing.counts import *  # noqa: F403 - each test is one of this suite
from guidkeep.testing.lists import *  # noqa: F403 - the same
from guidkeep.testing.model import *  # noqa: F403 - the same
from guidkeep.testing.one_record import *  # noqa: F403 - the same
from guidkeep.testing.opening import *  # noqa: F403 - and its fixtures
from guidkeep.testing.races import *  # noqa: F403 - the same
