"""A disk that is full or read-only under the database, and then no more.

What must hold: every change is done as a whole and answered so, or not at all and answered by 503; reading and checking
go on where they can; /readyz says what is wrong; and once it is right again all works by itself.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import asyncpg
import httpx

from tests.access.stage import Stage, row_id
from tests.access.tables import opened
from tests.plugins.database import SqliteDatabases
from tests.postgres import Postgres, running_postgres
from tests.support.command import run
from tests.support.world import OPERATOR, PASSWORD
from torture.afterwards import _check_file_let_go, check_chains
from torture.campaign import CampaignFailed
from torture.disks import filled, immutable, no_file_larger_than, read_only, small_disk
from torture.faults import _MAKE_ROOM, Asked, _client, _told, cases, is_success, is_unavailable
from torture.requested import AT_ONCE, PATIENCE, Send, back_within, requests, require
from torture.staging import staged

_LEFT_OUT = "left out, since we may mount nothing here"
_ROOM = 500_000  # bytes
_REFUSED = 3
"""So many changes in a row are refused before the disk is taken to be full."""
_MOST_MESSAGES = 400
"""Of a megabyte each: more than the log of PostgreSQL's small disk takes."""


def full_disk(*, small: bool) -> str:
    """SQLite's; where nothing may be mounted, its file may not grow any further."""
    with small_disk(16) as disk, TemporaryDirectory() as beside, staged(SqliteDatabases(disk or Path(beside))) as stage:
        asked = requests(stage)
        prepared = [] if small else list(_prepared(stage))
        room = filled(disk, but_for=_ROOM) if disk else no_file_larger_than(_largest(Path(beside)) + _ROOM)
        with room:
            made = _until_refused(asked["a change"])
            refused = _tried(stage, prepared)
            _reading_goes_on(stage, asked, "ok\ndisk_full" if disk else "ok")
        back = back_within(stage, asked)
        _require_ready(stage, "ok")
        with closing(_client(stage)) as http:
            for name, each in refused:
                require(f"{name}, with room again", http.request(each.method, each.path, **each.options))
        _all_there(stage, made + 1 + AT_ONCE)
    how = "" if disk else ", made by a limit on file size, since we may mount nothing here"
    others = f", of {len(prepared)} other requests {len(refused)}" if prepared else ""
    return (
        f"SQLite's disk full{how}: {made} changes until it was, then{others} told to try again; reading and checking"
        f" went on; all well {back:.1f} s after there was room"
    )


def read_only_disk() -> str:
    """SQLite's, under a server that has its file open."""
    with TemporaryDirectory() as directory, staged(SqliteDatabases(Path(directory))) as stage:
        asked = requests(stage)
        require("a change", asked["a change"]())
        with immutable(Path(directory)) as is_so:
            if not is_so:
                return "SQLite's disk read-only: left out, since files can't be made immutable here"
            made = _until_refused(asked["a change"])
            _reading_goes_on(stage, asked, "database_read_only")
        back = back_within(stage, asked)
        _require_ready(stage, "ok")
        _all_there(stage, 1 + made + 1 + AT_ONCE)
    return (
        "SQLite's files immutable under a server: changes told to try again, reading and checking went on; all well"
        f" {back:.1f} s after"
    )


def started_where_nothing_can_be_written() -> str:
    """What a server says that can't start there."""
    with small_disk(8) as disk:
        if disk is None:
            return f"SQLite, started on a full or read-only disk: {_LEFT_OUT}"
        old, new = disk / "old", disk / "new"
        new.mkdir()
        made = run(old, "operator", "create", "--email", OPERATOR, stdin=PASSWORD)
        if made.exit_code:
            raise CampaignFailed(f"there is no operator: {made.output}")
        for state in (read_only(disk), filled(disk)):
            with state:
                for directory in (old, new, disk / "none"):
                    _refuses_to_start(directory)
        for directory in (old, new):
            if run(directory, "db", "upgrade").exit_code or run(directory, "db", "check").exit_code:
                raise CampaignFailed(f"{directory.name} can't be used, with room again")
    return "SQLite, started on a read-only and on a full disk: said so in a sentence; with room again it starts"


def full_disk_of_postgres() -> str:
    """Its tables can't grow, then its log can't, which ends PostgreSQL; who runs it starts it again."""
    with small_disk(256) as disk:
        if disk is None:
            return f"PostgreSQL's disk full: {_LEFT_OUT}"
        with running_postgres(durable=True, directory=str(disk)) as server, staged(server) as stage:
            asked = requests(stage)
            with filled(disk):
                made = _until_refused(asked["a change"])
                require("a list, on a full disk", asked["a list"]())
                require("a check, on a full disk", asked["a check"]())
                _use_up_the_log(server)
                ended = [_done_or_told(asked[name]) for name in ("a change", "a list", "a login", "a check") * 5]
            took, was_started = _comes_back(server, asked["a change"])
            back_within(stage, asked)
            _require_ready(stage, "ok")
            _all_there(stage, made + 1 + AT_ONCE, or_more=True)
    return (
        f"PostgreSQL's disk full: {made} changes until it was, then told to try again; its log full too: of"
        f" {len(ended)} requests {ended.count(False)} told so; all well {took:.1f} s after there was room"
        f"{' and it was started again' if was_started else ''}"
    )


def _largest(directory: Path) -> int:
    return max(file.stat().st_size for file in directory.iterdir())


def _prepared(stage: Stage) -> Iterator[tuple[str, Asked]]:
    """Every request there is, each with what it needs to succeed."""
    for statement in _MAKE_ROOM:
        stage.play.rows.execute(statement.format(endpoint=row_id(stage.mine.ids["WebhookEndpoint"])))
    for case in cases(stage):
        yield case.name, case.prepare()


def _until_refused(change: Send) -> int:
    """How many changes are done until there is no room for more."""
    made, refused = 0, 0
    while refused < _REFUSED:
        done = _done_or_told(change)
        made, refused = made + done, 0 if done else refused + 1
    return made


def _done_or_told(send: Send) -> bool:
    answer = send()
    if not is_success(answer) and not is_unavailable(answer):
        raise CampaignFailed(f"{answer.request.url} {answer.status_code} {answer.text}")
    return is_success(answer)


def _tried(stage: Stage, prepared: Sequence[tuple[str, Asked]]) -> list[tuple[str, Asked]]:
    """Those of some requests that are told to try again, and changed nothing."""
    refused = []
    with opened(stage.play.server.database_url) as tables, closing(_client(stage)) as http:
        for name, asked in prepared:
            before = tables.dump()
            if _done_or_told(partial(http.request, asked.method, asked.path, **asked.options)):
                continue
            if changed := _told(before, tables.dump()):
                raise CampaignFailed(f"{name} was told to try again, and changed {changed}")
            refused.append((name, asked))
    return refused


def _reading_goes_on(stage: Stage, asked: Mapping[str, Send], reason: str) -> None:
    """And who is to be let in no more is let in for just as long as nobody was told so."""
    require("a list", asked["a list"]())
    require("a check", asked["a check"]())
    _require_ready(stage, reason)
    id_ = stage.theirs.ids["Credential"]
    revoke = "mutation ($id: ID!) { revokeCredential(input: {credentialId: $id}) { userErrors { code } } }"
    revoked = _done_or_told(lambda: stage.operator.post(revoke, {"id": id_}))
    gateway = {"X-Sealkey-Gateway-Token": stage.theirs.gateway_token}
    keys = stage.theirs.keys["apiKey"], stage.theirs.keys["apiSecret"]
    answer = httpx.get(f"{stage.play.server.url}/verify", auth=keys, headers=gateway)
    if answer.status_code != (401 if revoked else 200):
        raise CampaignFailed(f"revoked: {revoked}, and checked by {answer.status_code} {answer.headers}")


def _require_ready(stage: Stage, reason: str) -> None:
    answer = httpx.get(f"{stage.play.server.url}/readyz")
    if answer.text != reason:
        raise CampaignFailed(f"/readyz says {answer.text!r}, not {reason!r}")


def _all_there(stage: Stage, acknowledged: int, *, or_more: bool = False) -> None:
    """Each account that somebody was told of, and the event of each that is there; and all of it is sound."""
    rows = stage.play.rows
    here = rows.execute("SELECT count(*) FROM accounts WHERE name LIKE 'outage%'")[0][0]
    told = rows.execute("SELECT count(*) FROM audit_events WHERE type = 'account.created'")[0][0]
    accounts = rows.execute("SELECT count(*) FROM accounts")[0][0]
    if here < acknowledged or (here > acknowledged and not or_more) or told != accounts:
        raise CampaignFailed(f"{acknowledged} accounts acknowledged, {here} there; {told} events of {accounts}")
    if rows.engine == "sqlite":
        _check_file_let_go(rows.url.removeprefix("sqlite://"))
    check_chains(rows, stage.play.server.data_dir / "server-keys.json")


def _refuses_to_start(directory: Path) -> None:
    refused = run(directory, "serve")
    said = refused.output.splitlines()
    # A backup in the place of a database that is sound would lose what was written since.
    wants_backup = "backup" in refused.output.replace("needs no backup", "")
    if refused.exit_code != 1 or len(said) != 1 or not said[0].startswith("Error: ") or wants_backup:
        raise CampaignFailed(f"a server that can't start says {refused.output}")


def _use_up_the_log(server: Postgres) -> None:
    """Somebody else's, which nobody reads."""

    async def write() -> None:
        connection = await asyncpg.connect(server.url("postgres"))
        for _ in range(_MOST_MESSAGES):
            await connection.execute("SELECT pg_logical_emit_message(true, '', repeat('x', 1000000))")

    try:
        asyncio.run(write())
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return
    raise CampaignFailed("PostgreSQL's log has room on a disk that is full")


def _comes_back(server: Postgres, change: Send) -> tuple[float, bool]:
    """Seconds until a change is done again, and whether the server had to be started for that."""
    began, was_started = monotonic(), False
    while not _done_or_told(change):
        if not server.is_running():
            server.start()
            was_started = True
        if monotonic() - began > PATIENCE:
            raise CampaignFailed("PostgreSQL does not come back")
        sleep(0.1)
    return monotonic() - began, was_started
