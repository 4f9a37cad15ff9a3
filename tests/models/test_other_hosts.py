"""Of several servers one that goes away in the midst of connecting, or has no connection left, is passed over."""

import asyncio
from urllib.parse import urlsplit

import pytest

from models.postgres_hosts import Host, HostFinder

_FULL = b"SFATAL\0VFATAL\0C53300\0Mtoo many clients\0\0"
ANSWERS = {"gone": b"", "full": b"E" + (len(_FULL) + 4).to_bytes(4, "big") + _FULL}


@pytest.mark.engine("postgres")
@pytest.mark.parametrize("what", ANSWERS)
def test_the_next_host_is_asked(empty_database_url: str, what: str) -> None:
    url = urlsplit(empty_database_url)

    async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)  # whether there is TLS
        writer.write(b"N")
        await reader.read(1000)  # who asks for which database
        writer.write(ANSWERS[what])
        writer.close()

    async def connect() -> int:
        async with await asyncio.start_server(turn_away, "127.0.0.1", 0) as other:
            hosts = [Host("127.0.0.1", other.sockets[0].getsockname()[1]), Host(url.hostname or "", url.port or 0)]
            whose = {"user": url.username, "password": url.password, "database": url.path[1:]}
            found = await HostFinder(hosts).connect(timeout=10, target_session_attrs="read-write", **whose)
            answer: int = await found.fetchval("SELECT 1")
            await found.close()
            return answer

    assert asyncio.run(connect()) == 1
