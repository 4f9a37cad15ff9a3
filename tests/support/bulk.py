"""Many rows at once, put into a play's world past the server."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from models.ids import Kind, global_id
from tests.support import samples
from tests.support.rows import row_id
from tests.support.samples import Row
from tests.support.world import AccountWorld, Play

Columns = Mapping[str, Any]


def global_ids(kind: Kind, rows: Iterable[Row]) -> list[str]:
    return [global_id(kind, row["id"]) for row in rows]


def put(play: Play, table: str, rows: list[Row]) -> list[Row]:
    """Inserts rows in no order, lest a list's be the order in which they came."""
    shuffled = rows.copy()
    random.Random(len(rows)).shuffle(shuffled)
    play.rows.insert(table, *shuffled)
    return rows


def users(play: Play, account: AccountWorld, each: Iterable[Columns]) -> list[Row]:
    return put(play, "users", [samples.user(row_id(account.id), **columns) for columns in each])


def identities(play: Play, account: AccountWorld, each: Iterable[Columns]) -> list[Row]:
    return put(play, "identities", [samples.identity(row_id(account.id), **columns) for columns in each])


def services(play: Play, account: AccountWorld, each: Iterable[Columns]) -> list[Row]:
    return put(play, "services", [samples.service(row_id(account.id), **columns) for columns in each])


def links(play: Play, service_ids: Iterable[str], identity_ids: Iterable[str]) -> None:
    """Lets every one of these identities be used with every one of these services."""
    pairs = [(row_id(service), row_id(identity)) for service in service_ids for identity in identity_ids]
    play.rows.insert("service_identities", *(samples.service_identity(*pair) for pair in pairs))


def credentials(play: Play, account: AccountWorld, each: Iterable[Columns]) -> list[Row]:
    """The member's, for the active identity and the certificates, unless told otherwise by global id."""
    rows, key = [], any_key(play)
    for columns in each:
        parties = {
            "owner_id": account.users["member"],
            "service_id": account.services["certificates"],
            "identity_id": account.identities["active"],
            **columns,
        }
        owner, service, identity = (row_id(parties.pop(party)) for party in ("owner_id", "service_id", "identity_id"))
        rows.append(samples.credential(row_id(account.id), owner, service, identity, key, **parties))
    return put(play, "credentials", rows)


def audit_events(play: Play, account: AccountWorld, each: Iterable[Columns]) -> list[Row]:
    """Appended to the account's chain in this order."""
    chain = row_id(account.id)
    ((last,),) = play.rows.execute(f"SELECT sequence FROM audit_chains WHERE id = '{chain}'")
    key = any_key(play)
    rows = [samples.audit_event(chain, last + place, key, **columns) for place, columns in enumerate(each, 1)]
    play.rows.insert("audit_events", *rows)
    play.rows.set("audit_chains", account.id, f"sequence = {last + len(rows)}, hash = '{'0' * 64}'")
    return rows


def any_key(play: Play) -> str:
    """The id of one of the server's keys, where a row must name one."""
    return str(play.rows.execute("SELECT id FROM server_keys ORDER BY id LIMIT 1")[0][0])


def accounts(play: Play, each: Iterable[Columns]) -> list[Row]:
    rows = put(play, "accounts", [samples.account(**columns) for columns in each])
    play.rows.insert("audit_chains", *({"id": row["id"], "sequence": 0, "hash": ""} for row in rows))
    return rows


def times(number: int) -> list[Columns]:
    """So many rows of no particular kind."""
    return [{}] * number
