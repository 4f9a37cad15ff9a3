"""Audit events by the million, made by the database itself: as large as real ones, but their hashes prove nothing."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg

from bench.progress import say

# An event each millisecond from 2020 on, in turn in each account.
_FIRST = 1_577_836_800_000
_COLUMNS = "id, chain_id, sequence, type, occurred_at, actor_id, subject_id, source_ip, summary, hashing_key_id, hash"
_TYPE = "CASE n % 3 WHEN 0 THEN 'credential.generated' WHEN 1 THEN 'login.denied' ELSE 'credential.viewed' END"
_SQLITE_UUID = (
    "substr(printf('%012x', {ms}), 1, 8) || '-' || substr(printf('%012x', {ms}), 9) || '-7000-8000-' || "
    "printf('%012x', n)"
)


def add_audit_events(url: str, number: int) -> None:
    """Adds so many, to a database with accounts and without events."""
    if not number:
        return
    say(f"Making {number:,} audit events.")
    if url.startswith("sqlite"):
        _to_sqlite(Path(url.removeprefix("sqlite://")), number)
    else:
        asyncio.run(_to_postgres(url, number))


def _to_sqlite(path: Path, number: int) -> None:
    ms = f"({_FIRST} + n)"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -1000000")
        kept = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'audit_events' AND sql IS NOT NULL "
            "AND type IN ('index', 'trigger')"
        ).fetchall()
        connection.execute("BEGIN")
        for kind, name, _ in kept:
            connection.execute(f"DROP {kind} {name}")
        connection.execute("CREATE TEMP TABLE chain AS SELECT ROW_NUMBER() OVER () - 1 AS place, id FROM accounts")
        connection.execute("CREATE UNIQUE INDEX temp.chain_place ON chain (place)")
        connection.execute(f"""
            WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number - 1}),
            accounts_here (total) AS (SELECT COUNT(*) FROM chain)
            INSERT INTO audit_events ({_COLUMNS})
            SELECT {_SQLITE_UUID.format(ms=ms)}, chain.id, n / total + 1, {_TYPE},
                strftime('%Y-%m-%d %H:%M:%f', {ms} / 1000.0, 'unixepoch') || '000+00:00', NULL,
                'cred_' || printf('%032x', n), '192.0.2.1', 'Something happened to a credential', key.id,
                printf('%064x', n)
            FROM numbers, accounts_here, (SELECT id FROM server_keys LIMIT 1) AS key
            JOIN chain ON chain.place = n % total
        """)
        for _, _, sql in kept:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("ANALYZE audit_events")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _to_postgres(url: str, number: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        indexes = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'audit_events' "
            "AND indexname <> 'audit_events_pkey'"
        )
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("SET maintenance_work_mem = '1GB'")
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['indexname']}")
        uuid = f"lpad(to_hex({_FIRST} + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0')"
        await connection.execute(
            f"""
            WITH chain AS (SELECT ROW_NUMBER() OVER () - 1 AS place, id, COUNT(*) OVER () AS total FROM accounts)
            INSERT INTO audit_events ({_COLUMNS})
            SELECT ({uuid})::uuid, chain.id, n / total + 1, {_TYPE}, to_timestamp(({_FIRST} + n) / 1000.0), NULL,
                'cred_' || lpad(to_hex(n), 32, '0'), '192.0.2.1', 'Something happened to a credential', key.id,
                lpad(to_hex(n), 64, '0')
            FROM generate_series(0, {number - 1}::bigint) AS n
            CROSS JOIN (SELECT id FROM server_keys LIMIT 1) AS key
            JOIN chain ON chain.place = n % (SELECT COUNT(*) FROM accounts)
            """,
            timeout=3600,
        )
        for index in indexes:
            await connection.execute(index["indexdef"], timeout=3600)
        await connection.execute("VACUUM ANALYZE audit_events", timeout=3600)
    finally:
        await connection.close()
