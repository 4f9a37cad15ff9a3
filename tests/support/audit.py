"""What the audit log tells of what a test did."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.world import Play

_EVENTS = """query ($filter: AuditEventFilter!) {
    auditEvents(last: 100, filter: $filter) {
        nodes { sequence type occurredAt actor { id } subjectId sourceIp summary }
    }
}"""
_OF_THE_DEPLOYMENT = """SELECT type, actor_id, subject_id, summary FROM audit_events
    WHERE chain_id = '00000000-0000-0000-0000-000000000000' ORDER BY sequence"""


@dataclass(frozen=True)
class Event:
    sequence: int
    type: str
    occurred_at: str
    actor: str | None
    subject: str | None
    source_ip: str | None
    summary: str


def events(play: Play, account_id: str, **filter_: Any) -> list[Event]:
    """An account's newest events, at most 100, by sequence, as an operator sees them."""
    page = play.operator.data(_EVENTS, filter={"accountId": account_id, **filter_})
    found = [
        Event(
            sequence=node["sequence"],
            type=node["type"],
            occurred_at=node["occurredAt"],
            actor=node["actor"] and node["actor"]["id"],
            subject=node["subjectId"],
            source_ip=node["sourceIp"],
            summary=node["summary"],
        )
        for node in page["nodes"]
    ]
    # The clock stands still, and pages are in the order of ids, which carry the instant.
    return sorted(found, key=lambda event: event.sequence)


def deployment_events(play: Play) -> list[tuple[Any, ...]]:
    """Type, actor, subject and summary of each event that belongs to no account."""
    return play.rows.execute(_OF_THE_DEPLOYMENT)


@contextmanager
def recorded(play: Play, account_id: str, *expected: tuple[str, str | None, str | None, str]) -> Iterator[None]:
    """What is done inside appends just these events to the account's chain: type, actor, subject, summary of each."""
    newest = events(play, account_id)[-1].sequence
    yield
    added = [event for event in events(play, account_id) if event.sequence > newest]
    assert [(event.type, event.actor, event.subject, event.summary) for event in added] == list(expected)
    assert [event.sequence for event in added] == list(range(newest + 1, newest + 1 + len(expected)))
    assert {(datetime.fromisoformat(event.occurred_at), event.source_ip) for event in added} == {
        (play.clock(), "127.0.0.1")
    }


def user_id(play: Play, who: str = "operator") -> str:
    """The global id of somebody in the play, by the name of the client."""
    id_: str = getattr(play, who).data("{ viewer { user { id } } }")["user"]["id"]
    return id_
