"""What must hold in a database whatever was killed: looked at past the server, by statements that both engines take."""

import os
import sqlite3
import subprocess
import time
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from uuid import UUID

from tests.support.command import SEALKEY, environment
from tests.support.rows import Rows, row_id
from torture.campaign import CampaignFailed
from torture.ledger import Held, Ledger

_LET_GO_WITHIN = 5  # seconds
_FLUSHED_WITHIN = 2.5
"""Seconds until a check that was answered has been written down, where that is done every second: the round itself,
and one that had just begun."""


def check_chains(rows: Rows, keys_file: Path) -> int:
    """Every chain is as it was written, by the command that says so. How many events there are. Raises
    CampaignFailed."""
    settings = environment(keys_file.parent, database_url=rows.url, keys_file=str(keys_file))
    verified = subprocess.run(
        [SEALKEY, "audit", "verify"], env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if verified.returncode:
        raise CampaignFailed(f"the audit log is not as it was written: {verified.stderr}")
    ((number,),) = rows.execute("SELECT count(*) FROM audit_events")
    return int(number)


def check_told(rows: Rows, ledger: Ledger) -> None:
    """All that somebody was told is there, and nothing that nobody did. Raises CampaignFailed."""
    found: Counter[tuple[str, str]] = Counter()
    for type_, subject in rows.execute("SELECT type, subject_id FROM audit_events WHERE subject_id IS NOT NULL"):
        found[type_, subject] += 1
    for (type_, subject), (least, most) in ledger.events.items():
        count = found[type_, subject] - (type_ == "session.started")  # but for the one that accepted the invitation
        if not least <= count <= most:
            raise CampaignFailed(f"{type_} of {subject}: {count} events, not {least} to {most}")
    for (type_, subject), count in found.items():
        if type_.startswith("credential.") and not _is_accounted_for(rows, ledger, type_, subject):
            raise CampaignFailed(f"nobody was told of {count} {type_} of {subject}")


def _is_accounted_for(rows: Rows, ledger: Ledger, type_: str, subject: str) -> bool:
    if (type_, subject) in ledger.events:
        return True
    ((name,),) = rows.execute(f"SELECT name FROM credentials WHERE id = '{row_id(subject)}'")
    # It may have been asked for again before it was given up.
    return type_ in {"credential.generated", "credential.delivered_again"} and name in ledger.abandoned


def check_whole(rows: Rows, ledger: Ledger) -> None:
    """Each row is as its events tell, and each event has its row: nothing is half there. Raises CampaignFailed."""
    told: dict[str, list[str]] = defaultdict(list)
    for type_, subject in rows.execute(
        "SELECT type, subject_id FROM audit_events WHERE subject_id IS NOT NULL ORDER BY chain_id, sequence"
    ):
        told[subject].append(type_)
    _check_credentials(rows, told, ledger)
    _check_services(rows, told)
    _check_identities(rows, told)
    _check_endpoints(rows, told)
    _check_users(rows, told)
    _check_nothing_claimed(rows)
    _check_epoch(rows)


def _check_credentials(rows: Rows, told: dict[str, list[str]], ledger: Ledger) -> None:
    held = {each.id: each for each in ledger.credentials}
    known = set()
    for id_, revoked_at, rotated_at, predecessor, service, networks, name in rows.execute(
        "SELECT id, revoked_at, rotated_at, predecessor_id, service_id, allowed_networks, name FROM credentials"
    ):
        subject = _global("cred", id_)
        known.add(subject)
        events = Counter(told[subject])
        wanted = {
            "credential.revoked": revoked_at is not None,
            "credential.retired": rotated_at is not None,
            "credential.rotated": predecessor is not None,
            "credential.generated": predecessor is None,
        }
        for type_, is_there in wanted.items():
            if events[type_] != is_there:
                raise CampaignFailed(f"credential {name} ({subject}): {events[type_]} {type_}, but {wanted}")
        if subject in held:
            _check_held(held[subject], _global("svc", service), tuple(networks.split()))
        elif name not in ledger.abandoned:
            raise CampaignFailed(f"credential {name} ({subject}) is there, and nobody has its secret")
    if missing := held.keys() - known:
        raise CampaignFailed(f"credentials that were acknowledged are not there: {missing}")
    if missing := {subject for subject in told if subject.startswith("cred_")} - known:
        raise CampaignFailed(f"events tell of credentials that are not there: {missing}")
    successors = Counter(str(id_) for (id_,) in rows.execute("SELECT predecessor_id FROM credentials"))
    rotated = rows.execute("SELECT id FROM credentials WHERE rotated_at IS NOT NULL")
    if not all(successors[str(id_)] == 1 for (id_,) in rotated):
        raise CampaignFailed("a credential that was rotated has no successor, or more than one")


def _check_held(held: Held, service: str, networks: tuple[str, ...]) -> None:
    if service != held.customer.services[held.service]:
        raise CampaignFailed(f"credential {held.name} ({held.id}) is not where it was moved to")
    if networks != held.networks:
        raise CampaignFailed(f"credential {held.name} ({held.id}) is kept to {networks}, not {held.networks}")


def _check_services(rows: Rows, told: dict[str, list[str]]) -> None:
    for id_, suspended_at in rows.execute("SELECT id, suspended_at FROM services"):
        last = _last(told[_global("svc", id_)], {"service.suspended", "service.resumed"})
        if (suspended_at is not None) != (last == "service.suspended"):
            raise CampaignFailed(f"service {id_} is not what its last event says: {last}")


_DECIDED = {
    "identity.approved": "ACTIVE",
    "identity.rejected": "REJECTED",
    "identity.suspended": "SUSPENDED",
    "identity.reinstated": "ACTIVE",
}


def _check_identities(rows: Rows, told: dict[str, list[str]]) -> None:
    for id_, decision in rows.execute("SELECT id, decision FROM identities"):
        events = told[_global("idty", id_)]
        last = _last(events, set(_DECIDED))
        if events.count("identity.submitted") != 1 or decision != (_DECIDED[last] if last else "PENDING_VETTING"):
            raise CampaignFailed(f"identity {id_} is {decision} after {events}")


def _check_endpoints(rows: Rows, told: dict[str, list[str]]) -> None:
    for id_, removed_at in rows.execute("SELECT id, removed_at FROM webhook_endpoints"):
        events = Counter(told[_global("whk", id_)])
        if (events["webhook.created"], events["webhook.removed"]) != (1, removed_at is not None):
            raise CampaignFailed(f"endpoint {id_} was removed at {removed_at}, after {events}")


def _check_users(rows: Rows, told: dict[str, list[str]]) -> None:
    started = Counter(str(id_) for (id_,) in rows.execute("SELECT user_id FROM sessions"))
    ended = Counter(str(id_) for (id_,) in rows.execute("SELECT user_id FROM sessions WHERE ended_at IS NOT NULL"))
    for id_, status, api_access, role in rows.execute("SELECT id, status, api_access, role FROM users"):
        events = told[_global("user", id_)]
        access = _last(events, {"user.api_access_granted", "user.api_access_removed"})
        if access and bool(api_access) is not (access == "user.api_access_granted"):
            raise CampaignFailed(f"user {id_} has API access {api_access}, and the last event is {access}")
        last = _last(events, {"user.deactivated", "user.reactivated"})
        if (status == "DEACTIVATED") != (last == "user.deactivated"):
            raise CampaignFailed(f"user {id_} is {status}, and the last event is {last}")
        counted = Counter(events)
        if counted["user.role_set"] and (role == "AUDITOR") != bool(counted["user.role_set"] % 2):
            raise CampaignFailed(f"user {id_} is {role} after {counted['user.role_set']} changes of role")
        if started[str(id_)] != counted["session.started"]:
            raise CampaignFailed(f"user {id_}: {started[str(id_)]} sessions, {counted['session.started']} events")
        if ended[str(id_)] != counted["session.ended"]:
            raise CampaignFailed(f"user {id_}: {ended[str(id_)]} ended, {counted['session.ended']} events")


def _check_nothing_claimed(rows: Rows) -> None:
    if claimed := rows.execute("SELECT key_hash FROM idempotent_answers WHERE answer = ''"):
        raise CampaignFailed(f"{len(claimed)} idempotency keys are claimed, with no answer to them")


def _check_epoch(rows: Rows) -> None:
    ((epoch,),) = rows.execute("SELECT value FROM check_epoch")
    ((least, most, count),) = rows.execute("SELECT min(epoch), max(epoch), count(*) FROM check_changes")
    if (most, count) != (epoch, most - least + 1):
        raise CampaignFailed(f"the epoch is {epoch}, and the changes noted are {count} from {least} to {most}")


def check_usage(rows: Rows, ledger: Ledger, flush_seconds: float = 1) -> tuple[int, int, int]:
    """What is counted of checks is no more than was asked, and no less than what was answered by processes that could
    end by themselves, or so long before the others were killed that it must have been written down: counted, at least,
    at most. Raises CampaignFailed."""
    ((counted,),) = rows.execute("SELECT sum(allowed) FROM credential_usage")
    counted = int(counted or 0)
    lost = flush_seconds + _FLUSHED_WITHIN
    least = sum(1 for at, life in ledger.allowed if life.was_stopped or at < life.ended - lost)
    most = len(ledger.allowed) + ledger.maybe_allowed
    if not least <= counted <= most:
        raise CampaignFailed(f"{counted} checks are counted, not {least} to {most}")
    return counted, least, most


def check_let_go(rows: Rows) -> None:
    """Nobody is connected any more, nothing is held, nothing is left open. Raises CampaignFailed."""
    if rows.engine == "sqlite":
        _check_file_let_go(rows.url.removeprefix("sqlite://"))
        return
    give_up_at = time.monotonic() + _LET_GO_WITHIN
    asked = """SELECT pid::text || ' ' || state || ' ' || query FROM pg_stat_activity
               WHERE application_name = 'sealkey' UNION ALL
               SELECT 'lock ' || locktype FROM pg_locks WHERE pid <> pg_backend_pid() AND locktype <> 'virtualxid'
               UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts"""
    while left := rows.execute(asked):
        if time.monotonic() > give_up_at:
            raise CampaignFailed(f"{_LET_GO_WITHIN} s after all servers were killed there is left: {left}")
        time.sleep(0.1)


def _check_file_let_go(path: str) -> None:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        found = connection.execute("PRAGMA integrity_check").fetchall()
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    if found != [("ok",)] or broken:
        raise CampaignFailed(f"the file is not whole: {found} {broken}")


def _last(events: list[str], types: set[str]) -> str | None:
    return next((each for each in reversed(events) if each in types), None)


def _global(prefix: str, id_: object) -> str:
    return f"{prefix}_{UUID(str(id_)).hex}"
