"""What is in a database, read beside the server that uses it."""

import asyncio
import sqlite3
from typing import Any

import asyncpg


def rows(database_url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query that means the same on both engines."""
    if database_url.startswith("sqlite://"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite://"))
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()
    return asyncio.run(_from_postgres(database_url, query))


async def _from_postgres(database_url: str, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(database_url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()
