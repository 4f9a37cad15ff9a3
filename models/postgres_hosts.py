"""A PostgreSQL of several servers: which there are, and how the one that takes writes is found."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

_SEVERAL = re.compile(r"^(postgres://(?:[^/?#]*@)?)([^/?#@]+,[^/?#@]+)(|[/?#].*)$")
_HOST = re.compile(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d{1,5}))?")
# Whatever is wrong with one server, another may be well. Whom it does not let in, no other does.
_NOT_THIS_ONE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TargetServerAttributeNotMatched,
)


class Host(NamedTuple):
    name: str
    port: int


def split_hosts(url: str) -> tuple[str, Sequence[Host]]:
    """A URL with several hosts (as libpq has it: `postgres://…@one:5432,other:5432/…`) as one with the first of them,
    and all; of any other, the same and none. Raises ValueError."""
    found = _SEVERAL.match(url)
    if not found:
        return url, ()
    before, hosts, after = found.groups()
    return f"{before}{hosts.partition(',')[0]}{after}", [_host(host) for host in hosts.split(",")]


def _host(text: str) -> Host:
    found = _HOST.fullmatch(text)
    if not found:
        raise ValueError("this is no host")
    return Host(found[1].strip("[]"), int(found[2] or 5432))


class HostFinder:
    """Connects a pool to the server that takes writes.

    Each has its share of the time, which asyncpg gives to all of them together: one that is silent, as a machine is
    that has lost its power, would use it up each time. Where one was found, it is asked first from then on."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = [*hosts]

    async def connect(self, *address: Any, timeout: float, **named: Any) -> Any:  # noqa: ASYNC109  (the pool's own)
        """Raises what the driver raises for the last one."""
        failed: Exception | None = None
        for host in tuple(self._hosts):
            place = {"host": host.name, "port": host.port, "timeout": timeout / len(self._hosts)}
            try:
                connection = await asyncpg.connect(*address, **{**named, **place})
            except _NOT_THIS_ONE as error:
                failed = error
            else:
                self._hosts.sort(key=lambda other: other != host)
                return connection
        raise failed or ValueError("there are no hosts")
