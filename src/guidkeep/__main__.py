"""`python -m guidkeep` is the command `guidkeep`."""

import sys

from guidkeep.cli import main

sys.exit(main())
