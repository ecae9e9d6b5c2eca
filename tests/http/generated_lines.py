"""Teaches Schemathesis, which loads it, to send the content of `/bulk`: it is text."""

from __future__ import annotations

import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
