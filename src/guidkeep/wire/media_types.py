"""The media types of requests and responses."""

from __future__ import annotations

JSON = "application/json"
NDJSON = "application/x-ndjson"
"""Lines with one JSON object each."""
PROBLEM = "application/problem+json"
"""RFC 9457 §6.1."""
