"""The handlers and the server."""

from __future__ import annotations

import asyncio
import json
import uuid
from http import HTTPStatus
from typing import Any

from tornado.web import Application, HTTPError, RequestHandler

from benchmarks.reference.records import Records, check_guid, members, whole


class Handler(RequestHandler):
    """Responds with JSON, also for errors."""

    def initialize(self, records: Records) -> None:
        """Receives a handler's arguments from Tornado."""
        self.records = records

    def set_default_headers(self) -> None:
        """Every response is JSON."""
        self.set_header("Content-Type", "application/json")

    def write_error(self, status_code: int, **about: Any) -> None:
        """Sends the reason, or the status' name."""
        error = about.get("exc_info", (None, None, None))[1]
        message = error.log_message if isinstance(error, HTTPError) else None
        self.finish(json.dumps({"error": message or HTTPStatus(status_code).phrase}))

    def answer(self, status: HTTPStatus, answer: bytes) -> None:
        """Sends a record."""
        self.set_status(status)
        self.finish(answer)


class NoRoute(Handler):
    """All other paths."""

    def prepare(self) -> None:
        """Refuses."""
        raise HTTPError(HTTPStatus.NOT_FOUND)


class NewGuid(Handler):
    """/guid: creates a record whose GUID is generated, unless the body has one."""

    async def post(self) -> None:
        """Creates."""
        found = members(self.request.body)
        if "guid" in found:
            record = whole(check_guid(str(found["guid"])), found)
            self.answer(HTTPStatus.CREATED, await self.records.put(record))
        else:
            record = whole(uuid.uuid4().hex.upper(), found)
            self.answer(HTTPStatus.CREATED, await self.records.create(record))


class OneGuid(Handler):
    """/guid/{guid}: reads, updates or creates, deletes."""

    async def get(self, guid: str) -> None:
        """Reads."""
        answer = await self.records.read(check_guid(guid))
        if answer is None:
            raise HTTPError(HTTPStatus.NOT_FOUND)
        self.answer(HTTPStatus.OK, answer)

    async def post(self, guid: str) -> None:
        """Updates the record, or creates it if it is not there."""
        found = members(self.request.body)
        current = await self.records.read(check_guid(guid))
        former = json.loads(current) if current else {}
        written = await self.records.put(whole(guid, {**former, **found}))
        self.answer(HTTPStatus.OK if current else HTTPStatus.CREATED, written)

    async def delete(self, guid: str) -> None:
        """Deletes."""
        if not await self.records.delete(check_guid(guid)):
            raise HTTPError(HTTPStatus.NOT_FOUND)
        self.set_status(HTTPStatus.NO_CONTENT)


async def serve(port: int, store: str, cache: str) -> None:
    """Serves until the process ends; prints the address once it accepts requests."""
    records = await Records.open(store, cache)
    given = {"records": records}
    routes = [("/guid/?", NewGuid, given), ("/guid/([^/]+)", OneGuid, given)]
    application = Application(routes, default_handler_class=NoRoute, default_handler_args=given)
    application.listen(port, "127.0.0.1")
    print(f"http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()
