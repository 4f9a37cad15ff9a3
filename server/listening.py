"""How connections are taken.

libuv takes one new connection of a listening socket each time around the event loop. When there is much to do, a time
around is long: newcomers would wait in the kernel for seconds before they are even refused, while whoever is connected
is served. So the same socket is listened on several times, and as many connections are taken.
"""

import asyncio
import os
import socket

import uvicorn

_TAKEN_AT_ONCE = 32


def several_times(listener: socket.socket) -> list[socket.socket]:
    return [listener, *(listener.dup() for _ in range(_TAKEN_AT_ONCE - 1))]


async def listen_more_often(server: uvicorn.Server) -> None:
    """On what a server that has started listens on."""
    config, loop = server.config, asyncio.get_running_loop()

    def protocol() -> asyncio.Protocol:
        made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=server.server_state, app_state=server.lifespan.state
        )
        return made

    descriptors = [each.fileno() for listening in server.servers for each in listening.sockets]
    for descriptor in descriptors:
        for _ in range(_TAKEN_AT_ONCE - 1):
            again = socket.socket(fileno=os.dup(descriptor))
            server.servers.append(await loop.create_server(protocol, sock=again, backlog=config.backlog))
