"""GET /audit/export: what `auditEvents` shows, as a file, for the same people."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from models.ids import Kind, global_id
from resolvers.audit_export import COLUMNS
from server.audit_export import AT_ONCE
from tests.access_tokens.asking import bearer, gateway, personal, revoke
from tests.audit.exporting import count, exported, get, listed, parsed, problem
from tests.plugins.play import StartPlay
from tests.support import bulk
from tests.support.audit import events, user_id
from tests.support.rows import row_id
from tests.support.server import Client
from tests.support.world import Play

SHOWN = ("id", "sequence", "type", "occurredAt", "actorId", "actorEmail", "subjectId", "sourceIp", "summary", "hash")


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(({name: row[name] for name in SHOWN} for row in rows), key=lambda row: str(row["id"]))


@pytest.mark.parametrize("who", ["administrator", "auditor", "operator", "token"])
def test_an_export_has_what_the_list_has(play: Play, who: str) -> None:
    play.keys()
    reader = bearer(play, personal(play, play.auditor, "READ_AUDIT_LOG")) if who == "token" else getattr(play, who)
    found = exported(reader)
    assert by_id(found) == by_id(listed(reader))
    assert found[-1]["type" if who != "operator" else "hashVersion"] in ("audit.exported", 2)
    assert all(list(row) == list(COLUMNS) for row in found)
    # In each log, one after the other, by sequence.
    logs = dict.fromkeys(row["accountId"] for row in found)
    assert [(row["accountId"], row["sequence"]) for row in found] == [
        (log, place) for log in logs for place in range(1, 1 + sum(row["accountId"] == log for row in found))
    ]
    expected = {None, play.alder.id, play.birch.id} if who == "operator" else {play.alder.id}
    assert set(logs) == expected


def test_customers_are_not_told_who_of_the_provider_acted_nor_from_where(shared_play: Play) -> None:
    (created, *_) = exported(shared_play.administrator)
    assert (created["type"], created["actorId"], created["actorEmail"], created["sourceIp"]) == (
        *("account.created", None, None, None),
    )
    (created, *_) = exported(shared_play.operator, accountId=shared_play.alder.id)
    assert created["actorId"] == user_id(shared_play)
    assert (created["actorEmail"], created["sourceIp"]) == ("operator@provider.example", "127.0.0.1")


def test_an_export_is_an_event_of_its_own_and_stands_last(play: Play) -> None:
    for reader, format_, told in (
        (play.administrator, "csv", "The audit log was exported as CSV"),
        (play.operator, "jsonl", "The audit log was exported as JSONL (by the provider)"),
    ):
        *_, last = exported(reader, format_, accountId=play.alder.id)
        assert (last["type"], last["summary"]) == ("audit.exported", told)
        assert events(play, play.alder.id)[-1].summary == told
    range_ = {"after": "2026-01-01T00:00:00Z", "before": "2026-02-01T00:00:00+01:00"}
    *_, last = exported(play.administrator, **range_)
    assert last["summary"].endswith(", from 2026-01-01T00:00:00Z on, before 2026-01-31T23:00:00Z")
    exported(play.operator)
    told = "SELECT type, summary FROM audit_events WHERE chain_id = '00000000-0000-0000-0000-000000000000'"
    assert ("audit.exported", "The audit log was exported as JSONL") in play.rows.execute(told)


def test_a_range_begins_with_one_instant_and_ends_before_another(play: Play) -> None:
    rows = [{"occurred_at": play.clock() + timedelta(days=day), "summary": f"day {day}"} for day in range(-5, 0)]
    bulk.audit_events(play, play.alder, rows)

    def days(**range_: str) -> list[str]:
        found = exported(play.administrator, **range_)
        return [row["summary"] for row in found if row["summary"].startswith("day")]

    third = play.clock.in_(days=-3)
    assert days(after=third) == ["day -3", "day -2", "day -1"]
    assert days(before=third) == ["day -5", "day -4"]
    assert days(after=third, before=play.clock.in_(days=-2)) == ["day -3"]
    assert [row["summary"] for row in listed(play.administrator, after=third, before=play.clock.in_(days=-2))] == days(
        after=third, before=play.clock.in_(days=-2)
    )


FORMULAS = [
    *('=HYPERLINK("https://x.example","y")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1"),
    *("\uff1d1", "\uff0b1", "\uff0d1", "\uff201"),
]
HARMLESS = ['a "quoted" one, with a comma', "two\r\nlines", "a=1", "é \U0001f511"]


def test_a_spreadsheet_runs_nothing_of_a_csv_and_jsonl_loses_nothing(play: Play) -> None:
    texts = [*FORMULAS, *HARMLESS]
    bulk.audit_events(play, play.alder, [{"summary": text, "source_ip": text[:45]} for text in texts])
    whole = exported(play.administrator)[-len(texts) - 1 : -1]
    assert [row["summary"] for row in whole] == texts
    answer = get(play.administrator, format="csv")
    table = parsed(answer.content, "csv")[-len(texts) - 2 : -2]
    for column in ("summary", "sourceIp"):
        assert [row[column] for row in table] == [*(f"'{text}" for text in FORMULAS), *HARMLESS]
    assert answer.content.startswith(",".join(COLUMNS).encode() + b"\r\n")
    assert answer.content.endswith(b"\r\n")


@pytest.mark.parametrize(
    ("format_", "media_type"), [("csv", "text/csv; charset=utf-8; header=present"), ("jsonl", "application/jsonl")]
)
def test_an_export_is_a_file_to_be_saved(shared_play: Play, format_: str, media_type: str) -> None:
    answer = get(shared_play.administrator, format=format_)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    name = f"audit-{shared_play.alder.id}-20260115T120000Z.{format_}"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_who_may_not_read_the_log_exports_nothing(play: Play) -> None:
    before = count(play)
    answer = get(play.nobody, format="csv")
    assert problem(answer) == (
        401,
        "UNAUTHENTICATED",
        "Sign in first: send the session token as Authorization: Bearer <token>.",
    )
    assert answer.headers["www-authenticate"] == 'Bearer realm="Sealkey"'
    assert count(play) == before
    for client in (
        play.member,
        play.member_without_access,
        bearer(play, personal(play, play.auditor, "READ_USERS")),
        bearer(play, gateway(play, play.operator)),
    ):
        before = count(play)
        status, code, told = problem(get(client, format="csv"))
        assert (status, code) == (403, "FORBIDDEN")
        assert "READ_AUDIT_LOG" in told
        assert count(play) == before + 1
        denied = play.rows.execute("SELECT summary FROM audit_events WHERE type = 'access.denied'")
        assert (f"the export of the audit log was denied: {told}",) in denied


def test_another_account_s_log_is_not_there(play: Play) -> None:
    before = count(play)
    for account_id in (
        play.birch.id,
        global_id(Kind.ACCOUNT, UUID(int=5)),
        "x",
        play.alder.users["member"],
    ):
        answer = get(play.administrator, format="csv", accountId=account_id)
        assert problem(answer) == (404, "NOT_FOUND", "There is nothing with this id.")
    assert count(play) == before


INSTANT = "An instant is written as in RFC 3339, with its offset: 2026-11-22T09:30:00Z."
WRONG = {
    "": "format must be csv or jsonl.",
    "format=xml": "format must be csv or jsonl.",
    "format=CSV": "format must be csv or jsonl.",
    "format=csv&format=csv": "A parameter is given more than once.",
    "format=csv&after=2026-01-02T00:00:00Z&before=2026-01-01T00:00:00Z": (
        "after must be earlier than before: else there is nothing between them."
    ),
    "format=csv&account=x": "The parameters are format, accountId, after, before.",
    "format=csv&after=yesterday": f"after: {INSTANT}",
    "format=csv&before=": f"before: {INSTANT}",
    "format=csv&before=2026-02-30T00:00:00Z": "before: There is no such day or time.",
}


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_request_is_told_what_is_wrong_and_is_no_export(shared_play: Play, query: str) -> None:
    before = count(shared_play)
    client = shared_play.administrator
    answer = httpx.get(f"{client.url}/audit/export?{query}", headers=client.headers)
    assert problem(answer) == (400, "BAD_REQUEST", WRONG[query])
    assert count(shared_play) == before


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_it_is_exported_by_get_alone(shared_play: Play, method: str) -> None:
    before = count(shared_play)
    client = shared_play.administrator
    answer = httpx.request(method, f"{client.url}/audit/export?format=csv", headers=client.headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert count(shared_play) == before


@pytest.mark.usefixtures("quick_passwords")
def test_a_cookie_counts_only_where_no_other_site_can_have_sent_it(play: Play) -> None:
    document = """mutation { signIn(input: {email: "auditor@alder.example",
        password: "correct horse battery staple", cookie: true}) { expiresAt } }"""
    host = {"Host": "localhost"}
    signed_in = httpx.post(f"{play.server.url}/graphql", json={"query": document}, headers=host)
    cookie = {**host, "Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    for headers, status in (
        ({}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"Sec-Fetch-Site": "same-site"}, 401),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"X-Sealkey-CSRF": "1"}, 200),
    ):
        assert get(play.nobody, cookie | headers, format="jsonl").status_code == status


def tampered(play: Play, *statements: str) -> None:
    with closing(sqlite3.connect(play.rows.url.removeprefix("sqlite://"))) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.engine("sqlite")
def test_without_its_event_there_is_no_export(play: Play) -> None:
    tampered(
        play,
        "CREATE TRIGGER no_more BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    )
    answer = get(play.administrator, format="jsonl")
    assert answer.status_code == 500
    assert "alder" not in answer.text


@pytest.mark.engine("sqlite")
def test_half_an_export_does_not_pass_for_a_whole_one(play: Play) -> None:
    bulk.audit_events(play, play.alder, bulk.times(2_500))
    damage = (
        f"UPDATE audit_events SET occurred_at = 'never' WHERE sequence = 2400 AND chain_id = '{row_id(play.alder.id)}'"
    )
    tampered(play, "DROP TRIGGER audit_events_are_fixed", damage)
    for format_ in ("csv", "jsonl"):
        with pytest.raises(httpx.RemoteProtocolError, match=r"without sending complete|incomplete chunked"):
            get(play.administrator, format=format_)
    assert len(exported(play.other_administrator)) > 5


def test_what_happens_meanwhile_is_not_in_it_and_who_goes_away_leaves_nothing_behind(play: Play) -> None:
    bulk.audit_events(play, play.alder, [{"summary": "long " * 90}] * 20_000)
    before = count(play)
    client = play.administrator
    slow = {"format": "jsonl"}
    with httpx.stream("GET", f"{client.url}/audit/export", params=slow, headers=client.headers) as answer:
        chunks = answer.iter_raw(1000)
        read = next(chunks)
        play.generate()
        assert events(play, play.alder.id)[-1].type == "credential.generated"
        found = parsed(read + b"".join(chunks))
    assert found[-1]["type"] == "audit.exported"
    assert [row["sequence"] for row in found] == list(range(1, len(found) + 1))
    with httpx.stream("GET", f"{client.url}/audit/export", params=slow, headers=client.headers) as answer:
        next(answer.iter_raw(1000))
    assert until_idle(play) == 0
    play.generate("another")
    assert count(play) == before + 4


def test_who_may_read_no_more_is_sent_no_more(play: Play) -> None:
    bulk.audit_events(play, play.alder, [{"summary": "long " * 90}] * 12_000)
    made, user = personal(play, play.administrator, "READ_AUDIT_LOG"), play.alder.users["auditor"]
    loses: list[tuple[Client, Callable[[], Any]]] = [
        (play.auditor, lambda: play.operator.do("setUserRole", "user { id }", userId=user, role="MEMBER")),
        (bearer(play, made), lambda: revoke(play.administrator, made)),
        (play.administrator, lambda: play.administrator.data("mutation { signOut { userErrors { code } } }")),
    ]
    for reader, no_more in loses:
        with exporting(reader) as chunks:
            next(chunks)
            no_more()
            play.clock.advance(seconds=1)
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                b"".join(chunks)
    with exporting(play.operator) as chunks:
        assert b"".join(chunks).endswith(b"}\n")


@contextmanager
def exporting(client: Client) -> Iterator[Iterator[bytes]]:
    """The chunks of an export, as they come."""
    asked = httpx.stream("GET", f"{client.url}/audit/export?format=jsonl", headers=client.headers, timeout=60)
    with asked as answer:
        yield answer.iter_raw(1000)


def test_slow_readers_hold_nothing_and_each_has_so_many_exports_at_once(start_play: StartPlay) -> None:
    """More than there are connections to the database, and no lock."""
    play = start_play(database_pool_size=2)
    bulk.audit_events(play, play.alder, [{"summary": "long " * 90}] * 20_000)
    client, kept = play.administrator, list[Iterator[bytes]]()
    with ExitStack() as reading:
        for _ in range(AT_ONCE):
            asked = httpx.stream("GET", f"{client.url}/audit/export?format=jsonl", headers=client.headers)
            kept.append(reading.enter_context(asked).iter_raw(1000))
            next(kept[-1])  # which would close it if it were not kept
        assert play.server.app.state.gate.at_work == 0
        play.generate("one")
        play.generate("two")
        assert play.operator.data("{ viewer { role } }") == {"role": "OPERATOR"}
        refused = get(client, format="jsonl")
        assert (problem(refused)[:2], refused.headers["retry-after"]) == ((503, "UNAVAILABLE"), "10")
        assert get(play.operator, format="jsonl", before="2020-01-01T00:00:00Z").status_code == 200
    until_idle(play)
    assert get(client, format="jsonl").status_code == 200


def until_idle(play: Play) -> int:
    """How many connections are open, once all that were given up are closed."""
    give_up_at = time.monotonic() + 10
    while play.server.connections and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return len(play.server.connections)
