"""A module that Schemathesis loads, so that it sends the content of `/bulk` as text."""

from __future__ import annotations

import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
