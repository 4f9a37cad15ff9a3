"""Whether the process runs, and whether it can do its work: what balancers ask."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from models import database

EPOCH_LIMIT = 5.0
"""Seconds without a word from the database on what has changed. After one, nothing remembered is believed any more, and
checks ask the database each time; a process that can't even learn of changes has lost touch."""
STOPPING = "stopping"
DATABASE_UNREACHABLE = "database_unreachable"
DATABASE_READ_ONLY = "database_read_only"
DISK_FULL = "disk_full"
SCHEMA_BEHIND = "schema_behind"
EPOCH_UNCONFIRMED = "epoch_unconfirmed"
KEYS_MISSING = "keys_missing"
KEYS_UNREADABLE = "keys_unreadable"
REASONS = (
    STOPPING,
    DATABASE_UNREACHABLE,
    DATABASE_READ_ONLY,
    SCHEMA_BEHIND,
    EPOCH_UNCONFIRMED,
    KEYS_MISSING,
)
"""What takes a server out, in the order in which /readyz says it, one to a line."""
IMPAIRMENTS = (DISK_FULL, KEYS_UNREADABLE)
"""What it says of a server that is of use all the same, and often all servers have at once: a shared key file that was
changed wrongly must not leave a balancer without any."""


async def healthy(_request: Request) -> Response:
    """The process runs."""
    return PlainTextResponse("ok")


async def ready(request: Request) -> Response:
    """The process can do its work; or in which ways it can't, or not all of it."""
    state = request.app.state
    found = {STOPPING} if state.stopping.is_begun else await _found_once(state)
    state.not_ready, state.impaired = found & set(REASONS), found & set(IMPAIRMENTS)
    lines = [word for word in (*REASONS, *IMPAIRMENTS) if word in found]
    status = 503 if state.not_ready else 200
    text = "\n".join(lines if state.not_ready else ["ok", *lines])
    return PlainTextResponse(text, status, {"Cache-Control": "no-store"})


async def _found_once(state: Any) -> set[str]:
    """Whoever asks while it is being found out is told what is: no place is taken for that, and asked by many it would
    keep the database from others."""
    if state.finding is None or state.finding.done():
        state.finding = asyncio.ensure_future(_found(state))
    found: set[str] = await asyncio.shield(state.finding)
    return found


async def _found(state: Any) -> set[str]:
    found = await _wrong_with_database()
    if not state.housekeeping.keys_are_readable:
        found.add(KEYS_UNREADABLE)
    if state.deployment.lacks_keys:
        found.add(KEYS_MISSING)
    if state.deployment.memory.unconfirmed_seconds > EPOCH_LIMIT:
        found.add(EPOCH_UNCONFIRMED)
    return found


async def _wrong_with_database() -> set[str]:
    """Of a database that is newer than this server nothing is said: it still works for the version before, which goes
    on serving while another takes its place."""
    try:
        condition = await database.answered_soon(database.condition())
    except Exception:  # noqa: BLE001  (whatever it is, this server is not ready)
        return {DATABASE_UNREACHABLE}
    reasons = {
        DATABASE_READ_ONLY: condition.is_read_only,
        DISK_FULL: condition.is_full,
        SCHEMA_BEHIND: condition.is_behind,
    }
    return {reason for reason, holds in reasons.items() if holds}
