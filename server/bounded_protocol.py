"""uvicorn's protocol for HTTP, where nobody can have it keep more than a request takes, nor for longer.

It has no bound for an address, for headers and trailers, and for how long somebody may take to ask; and what it answers
to what is no HTTP goes out in the midst of another answer, where there is one under way.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from server.admission import refusal

# httptools finds its way in no longer ones.
_LONGEST_URL = 65_535
# All of a request but its body: its line, headers, trailers, and what chunks are framed in.
_MOST_AROUND_BODY = 128 * 1024
_MOST_HEADERS = 256
# A request is looked at so often, in seconds, and may so many times be found incomplete after the first.
_LOOK_EVERY, _ROUNDS = 10.0, 3
# Seconds for whoever was refused to read why. A connection on which they still send is reset when it is closed, and
# what they have not read is lost (RFC 9112, 9.6).
_LINGERS = 1.0
_TEXTS = {
    408: "The request did not come within half a minute.",
    414: f"The address is longer than {_LONGEST_URL} bytes.",
    431: f"There are more than {_MOST_HEADERS} headers, or they take more than {_MOST_AROUND_BODY} bytes.",
}

Headers = list[tuple[bytes, bytes]]


class _Refused(Exception):
    """Raised where the parser calls, so that it goes no further."""


class _Deaf:
    """In the place of a parser where nothing more is taken."""

    def feed_data(self, data: bytes) -> None:
        """Nothing."""


class BoundedProtocol(HttpToolsProtocol):
    around_body = 0
    """Bytes that have come of a request that is not complete, without its body's."""
    _fault = 400
    _timer: TimerHandle | None = None
    # What is answered now, or was last.
    _running: RequestResponseCycle | None = None
    # Whose request was incomplete when it was last looked at, and how often it was.
    _seen: object = None
    _rounds = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(_LOOK_EVERY, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._running is not None:  # which uvicorn tells only where nothing was asked after it
            self._running.disconnected |= not self._running.response_complete
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        self.around_body += len(data)
        super().data_received(data)
        if self.around_body > _MOST_AROUND_BODY:
            self._break_off(414 if self.scope and len(self.url) > _LONGEST_URL else 431)

    def on_headers_complete(self) -> None:
        if len(self.url) > _LONGEST_URL:
            self.refuse(414)
        if len(self.headers) > _MOST_HEADERS or (self.around_body > _MOST_AROUND_BODY and self._is_too_large()):
            self.refuse(431)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.around_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.around_body = 0
        super().on_message_complete()

    @property
    def path(self) -> str:
        """As it was sent."""
        return self.url.partition(b"?")[0].decode("latin-1")

    def refuse(self, status: int) -> None:
        """For what the parser calls: has it stop, and the request answered with 400, 414, 431 or 503."""
        self._fault = status
        raise _Refused

    def write_answer(self, status: int, headers: Headers, body: bytes, *, stays: bool) -> None:
        """stays: whether the connection is for more than this answer."""
        headers = [*self.server_state.default_headers, *headers, *([] if stays else [(b"connection", b"close")])]
        lines = [b"%b: %b\r\n" % header for header in headers]
        is_wanted = self.scope is None or self.scope.get("method") != "HEAD"
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body if is_wanted else b""]))

    def let_go(self) -> None:
        """Nobody waits for the answer to what is asked any more."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def handle_websocket_upgrade(self) -> None:
        if self._is_answering:
            self._break_off(400)  # the connection can't be given away while something is to be written there
        else:
            super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self._break_off(self._fault, msg)

    def _is_too_large(self) -> bool:
        """Whether it is the headers that are, and not the body that came with them."""
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _MOST_AROUND_BODY

    @property
    def _is_begun(self) -> bool:
        """Whether the last request's headers were all there, and taken."""
        return self.cycle is not None and self.cycle.scope is self.scope

    @property
    def _is_answering(self) -> bool:
        """Whether some of an answer has been sent, or of what was asked before is still to be."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        return not self._is_begun or bool(self.pipeline) or self.cycle.response_started

    def _break_off(self, status: int, text: str = "") -> None:
        """Takes nothing more, and says why where that can't be mistaken for the answer to something else."""
        if isinstance(self.parser, _Deaf) or self.transport.is_closing():
            return
        self.parser, self.around_body = _Deaf(), 0  # type: ignore[assignment]
        if self._is_begun and (self._is_answering or self.cycle.response_complete):
            self.transport.close()
        elif self._is_answering:
            self.cycle.keep_alive = False  # what was asked before is answered first
        else:
            self._answer_last(status, _TEXTS.get(status, text))
            if self._is_begun:
                self.let_go()

    def _answer_last(self, status: int, text: str) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))]
        if status == 503:
            self.write_answer(status, *refusal(self.path, self.headers), stays=False)
        else:
            self.write_answer(status, headers, text.encode(), stays=False)
        self.transport.write_eof()
        self.loop.call_later(_LINGERS, self.transport.abort)

    def _look(self) -> None:
        """Whoever takes too long to ask is let go of."""
        if self not in self.connections or self.transport.is_closing():  # it is a WebSocket's now, or done
            return
        self._timer = self.loop.call_later(_LOOK_EVERY, self._look)
        is_incomplete = self._is_incomplete() and self._seen is self.scope
        self._seen, self._rounds = self.scope, self._rounds + 1 if is_incomplete else 0
        if self._rounds == _ROUNDS:
            self._time_out()

    def _is_incomplete(self) -> bool:
        """Whether a request is awaited that is not there as a whole, and it is its client who keeps it waiting."""
        is_awaited = self.scope is None or self.around_body != 0
        return is_awaited and not self._is_answering and not self.flow.read_paused

    def _time_out(self) -> None:
        if self.scope is None:
            self.transport.close()  # nothing was asked
        else:
            self._break_off(408)
