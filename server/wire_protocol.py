"""uvicorn's own protocols, a little otherwise. That for HTTP answers a gateway at once where all that it takes is
remembered.

For each request uvicorn makes a task, a scope and an event, and takes the answer in two messages whose headers it looks
through one by one; all of that costs more than such a check. What can't be answered at once goes that way as ever.
"""

from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server.graphql_stream import ABORT
from server.verify import BEGAN, PATH, verify_at_once

_PATH = PATH.encode()
_SENT_WITHIN = 0.2  # seconds
# What comes with a body, or wants more than an answer.
_NOT_AT_ONCE = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})


class WireProtocol(HttpToolsProtocol):
    _was_answered = False

    def shutdown(self) -> None:
        _end_subscriptions(self.app)
        super().shutdown()

    def on_headers_complete(self) -> None:
        if self.url.startswith(_PATH):
            answer, began = None, self.loop.time()
            with suppress(Exception):  # which the other way will meet too, and knows what to do with
                answer = self._answer_at_once()
            if answer is not None:
                self._was_answered = True
                self.transport.write(answer)
                self.on_response_complete()
                return
            # What has been tried in vain counts as well: for how long tells whether there is such a key.
            self.scope["state"][BEGAN] = began
        self.scope["state"][ABORT] = self.transport.abort
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._was_answered:
            self._was_answered = False
        else:
            super().on_message_complete()

    def _answer_at_once(self) -> bytes | None:
        is_first = self.cycle is None or self.cycle.response_complete
        if not is_first or self.pipeline or self.flow.write_paused or not self._is_plain():
            return None
        path, _, query = self.url.partition(b"?")
        deployment: Any = getattr(getattr(self.app, "state", None), "deployment", None)
        if path != _PATH or deployment is None:
            return None
        answer = verify_at_once(deployment, query, self.headers)
        if answer is None:
            return None
        status, lines = answer
        of_every_answer = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        return b"".join([STATUS_LINE[status], *of_every_answer, lines])

    def _is_plain(self) -> bool:
        """Whether the connection stays open and nothing follows these headers."""
        if not self.parser.should_keep_alive() or self.parser.get_http_version() != "1.1":
            return False
        return _NOT_AT_ONCE.isdisjoint([name for name, _ in self.headers])


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, of two the one that does not build on what websockets has deprecated. It cuts off who takes
    nothing any more once there is nothing left to do, and does not wait for good until all is written out; and when
    the server stops, what waits to be told is sent before it closes, with 1012, which has clients come again."""

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if not self.writable.is_set():
            self.transport.abort()

    async def send(self, message: Any) -> None:
        await super().send(message)
        # For uvicorn a handshake that was refused with an answer is not complete, which it would log as an error.
        self.handshake_complete |= self.close_sent

    def shutdown(self) -> None:
        _end_subscriptions(self.app)
        self.loop.call_later(_SENT_WITHIN, self._shut_down)

    def _shut_down(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()


def _end_subscriptions(app: Any) -> None:
    """Otherwise who waits for more would keep the server from stopping."""
    deployment: Any = getattr(getattr(app, "state", None), "deployment", None)
    if deployment is not None:
        deployment.watches.close()


WEBSOCKETS: dict[str, Any] = {
    "ws": WebSocketProtocol,
    "ws_max_size": 256 * 1024,  # a document, and values
    "ws_per_message_deflate": False,  # which for each connection takes more memory than all else
}
"""What uvicorn is to be told of WebSockets."""
