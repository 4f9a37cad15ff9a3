"""The audit log as a file: the events of one account or of all, chain after chain, in the order of their sequence.

It is read in windows, each by a statement of its own, so that however slow the reader is, nothing is held for it. What
is told are the events that there were at the beginning: chains only grow, so all that is needed is where they ended.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
from tortoise.exceptions import OperationalError

from auth.crypto.credential_csv import as_text
from auth.permissions import Permission
from auth.policy import authorize
from auth.principal import Principal
from auth.recheck import recheck
from models.audit_log import ActorRow, EventRow, HeadRow, read_events_with_actors, read_heads
from models.database import transaction
from models.failures import is_unavailable
from models.ids import Kind, global_id
from models.instants import write_instant
from resolvers.audit import EventType, record
from resolvers.audit_chains import DEPLOYMENT, NoSuchChain, chain_name
from resolvers.audit_view import may_see_actor
from resolvers.caller import Caller, Deployment
from resolvers.reading import narrowed

# Writing so many takes a few milliseconds, in which the process does nothing else.
_WINDOW = 250
# Looking each time would take as long as a quarter of the reading.
_LOOKS_AGAIN_AFTER = timedelta(seconds=1)

COLUMNS = (
    "accountId",
    "sequence",
    "id",
    "type",
    "occurredAt",
    "actorId",
    "actorEmail",
    "subjectId",
    "sourceIp",
    "summary",
    "hash",
    "hashVersion",
    "hashingKeyId",
)


class LogUnreadable(Exception):
    """An event is none that a server wrote; the message says where, and what shows it."""


class ExportFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"

    @property
    def media_type(self) -> str:
        return "text/csv; charset=utf-8; header=present" if self is ExportFormat.CSV else "application/jsonl"


@dataclass(frozen=True)
class Range:
    """From one instant on and before another."""

    after: datetime | None = None
    before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return self.after is not None and self.before is not None and self.after >= self.before


@dataclass(frozen=True)
class Export:
    """name:   of the file.
    total:  so many events are looked at.
    chunks: of the file, each after so many events more; one is empty where none of them is in the range.
    """

    name: str
    total: int
    chunks: AsyncIterator[tuple[int, bytes]]


async def export_audit_log(caller: Caller, format_: ExportFormat, *, account_id: str | None, range_: Range) -> Export:
    """The log of an account; of the caller's own or, for operators, of all and the deployment. That it was exported is
    recorded first, and is the last thing in it. Raises Denied, NotFound; Denied also in the midst of its chunks, where
    who asked may read no more by then."""
    scope = await narrowed(authorize(caller.principal, Permission.READ_AUDIT_LOG), account_id)
    principal = caller.principal
    assert principal is not None  # noqa: S101  (nobody else is authorized)
    export = await _exported(caller, format_, scope.account_id, range_, viewer=principal.account_id)
    return replace(export, chunks=_while_allowed(principal, caller.deployment, export.chunks))


async def _while_allowed(
    principal: Principal, deployment: Deployment, chunks: AsyncIterator[tuple[int, bytes]]
) -> AsyncIterator[tuple[int, bytes]]:
    """An export lasts as long as who reads it likes, and a session may end meanwhile. Raises Denied."""
    looked_at = deployment.clock()
    async for chunk in chunks:
        yield chunk
        now = deployment.clock()
        if abs(now - looked_at) >= _LOOKS_AGAIN_AFTER:  # a clock may be set back
            (still,) = await recheck([principal], now, deployment.session_rules)
            authorize(still, Permission.READ_AUDIT_LOG)
            looked_at = now


async def export_by_command(caller: Caller, format_: ExportFormat, *, chain_id: UUID | None, range_: Range) -> Export:
    """The same on the command line, also the deployment's alone: whoever can run it holds the server anyway, and sees
    what operators see. Raises NoSuchChain."""
    if chain_id is not None and not await read_heads(str(chain_id)):
        raise NoSuchChain
    return await _exported(caller, format_, chain_id, range_, viewer=None)


async def _exported(
    caller: Caller, format_: ExportFormat, chain_id: UUID | None, range_: Range, *, viewer: UUID | None
) -> Export:
    by_command = "" if caller.principal else " from the command line"
    async with transaction():
        summary = f"The audit log was exported as {format_.value.upper()}{by_command}{_told(range_)}"
        await record(caller, EventType.AUDIT_EXPORTED, summary, account_id=chain_id)
    heads = await read_heads(str(chain_id) if chain_id else None)
    log = chain_name(str(chain_id)) if chain_id else "all"
    name = f"audit-{log}-{caller.now:%Y%m%dT%H%M%SZ}.{format_.value}"
    write = _csv if format_ is ExportFormat.CSV else _jsonl
    chunks = _chunks(heads, range_, str(viewer) if viewer else None, write)
    return Export(name, sum(head.sequence for head in heads), chunks)


def _told(range_: Range) -> str:
    after = f", from {write_instant(range_.after)} on" if range_.after else ""
    return after + (f", before {write_instant(range_.before)}" if range_.before else "")


Row = Sequence[Any]


async def _chunks(
    heads: Sequence[HeadRow], range_: Range, viewer: str | None, write: Callable[[Sequence[Row]], bytes]
) -> AsyncIterator[tuple[int, bytes]]:
    if write is _csv:
        yield 0, _csv([COLUMNS])
    for head in heads:
        account = chain_name(head.id)
        for start in range(0, head.sequence, _WINDOW):
            through = min(start + _WINDOW, head.sequence)
            with _telling(account, start + 1, through):
                found = await read_events_with_actors(head.id, start, through, range_.after, range_.before)
                chunk = write([_row(account, event, actor, viewer) for event, actor in found])
            yield through - start, chunk
            await asyncio.sleep(0)  # others' turn


@contextmanager
def _telling(account: str, first: int, last: int) -> Iterator[None]:
    """What no server wrote may be no text, no instant or no id. Raises LogUnreadable."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, OperationalError) as error:
        if is_unavailable(error):
            raise
        raise LogUnreadable(
            f"Of the events {first:,} to {last:,} of {account} one can't be read, and no server wrote it so: "
            "`sealkey audit verify` says which."
        ) from None


def _row(account: str, event: EventRow, actor: ActorRow | None, viewer: str | None) -> Row:
    shown = actor is None or may_see_actor(viewer, actor.account_id)
    return (
        None if account == DEPLOYMENT else account,
        event.sequence,
        global_id(Kind.AUDIT_EVENT, UUID(event.id)),
        event.type,
        write_instant(datetime.fromisoformat(event.occurred_at)),
        global_id(Kind.USER, UUID(event.actor_id)) if event.actor_id and shown else None,
        actor.email if actor and shown else None,
        event.subject_id,
        event.source_ip if shown else None,
        event.summary,
        event.hash,
        event.hash_version,
        event.hashing_key_id,
    )


def _jsonl(rows: Sequence[Row]) -> bytes:
    options = orjson.OPT_APPEND_NEWLINE
    return b"".join(orjson.dumps(dict(zip(COLUMNS, row, strict=True)), option=options) for row in rows)


def _csv(rows: Sequence[Row]) -> bytes:
    """RFC 4180: comma, double quote, CRLF. What a spreadsheet would take for a formula has an apostrophe before it."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(_cells(row) for row in rows)
    return text.getvalue().encode()


def _cells(row: Row) -> Iterator[Any]:
    return (as_text(value) if isinstance(value, str) else value for value in row)
