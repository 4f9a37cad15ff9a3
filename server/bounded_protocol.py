"""uvicorn's protocol for HTTP, where nobody can have it keep more than a request takes.

As uvicorn has it,
- an address, headers and trailers have no end, and neither has what is asked before the first answer is there: bounded
  in `data_received` and `on_headers_complete`;
- what is no HTTP is answered at once, in the midst of another answer: see `break_off`;
- trailers become headers, past what a proxy before the server sees to: see `on_headers_complete`;
- a request that offers another protocol loses its body, which then is read as the next request: see `_fed`.

Of the requests on a connection one is answered, `_running`; those that came after it wait in uvicorn's `pipeline`, the
newest on the left. What comes is the newest's: `scope` is made for it at its first byte, `cycle` at the end of its
headers; until then `cycle` is that of the one before.
"""

from collections.abc import Iterable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from server.admission import refusal

# httptools finds its way in no longer ones.
_LONGEST_URL = 65_535
# All of a request but its body: its line, headers, trailers, and what chunks are framed in.
_MOST_AROUND_BODY = 128 * 1024
_MOST_HEADERS = 256
# Requests that wait until others on their connection are answered, and bytes that come meanwhile; of a body alone only
# as many as uvicorn keeps.
_MOST_AHEAD, _MOST_BYTES_AHEAD = 64, 128 * 1024
# Seconds for whoever was refused to read why. A connection on which they still send is reset when it is closed, and
# what they have not read is lost (RFC 9112, 9.6).
_LINGERS = 1.0
_TEXTS = {
    400: "This is no HTTP request that can be read, or it does not name one Host.",
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
    url = b""
    around_body = 0
    """Bytes that have come of the newest request, without its body's, as long as it is not whole."""
    asked = 0
    """How many requests have begun."""
    is_whole = False
    """Whether all of the newest has come."""
    # Whether it offers another protocol, which is declined.
    _declines = False
    # Bytes that have come since requests wait.
    _ahead = 0
    # The status for what the parser has been stopped at.
    _fault = 400
    # What is answered now, or was last.
    _running: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._running is not None:  # which uvicorn tells only where nothing was asked after it
            self._running.disconnected |= not self._running.response_complete
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self.around_body += len(data)
        self._ahead = self._ahead + len(data) if self.pipeline else 0
        while data:
            data = self._fed(data)
        if self.around_body > _MOST_AROUND_BODY or len(self.headers or ()) > _MOST_HEADERS:
            self.break_off(414 if len(self.url) > _LONGEST_URL else 431)
        elif self._ahead > _MOST_BYTES_AHEAD or (self.pipeline and len(self.cycle.body) > HIGH_WATER_LIMIT):
            self.break_off(400)  # else uvicorn reads no more, and does not see that the client has gone

    def _fed(self, data: bytes) -> bytes:
        """Answers what is to be fed next: after a request that offers another protocol, itself without the offer, and
        what came behind it (RFC 9110, 7.8)."""
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.logger.warning("Invalid HTTP request received.")  # as uvicorn does
            self.break_off(self._fault)
        except HttpParserUpgrade as offered:
            if self._declines:
                again = self._without_offer() + data[offered.args[0] :]
                self.parser = HttpRequestParser(self)  # the other may hold this request for its last
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
                return again
            self.handle_websocket_upgrade()
        return b""

    def on_message_begin(self) -> None:
        if self.transport.is_closing():
            self.refuse(400)  # what an answer said to be the last is
        self._unset_keepalive_if_required()  # which an answer at once has set
        self.is_whole = self._declines = False
        self.asked += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._look_at_head()
        if self.parser.should_upgrade() and not self._should_upgrade():
            self._decline()
            return
        self.scope["headers"] = [*self.headers]  # to which trailers are not added (RFC 9110, 6.5.1)
        super().on_headers_complete()
        if len(self.pipeline) > _MOST_AHEAD:
            self.refuse(400)

    def _look_at_head(self) -> None:
        if len(self.url) > _LONGEST_URL:
            self.refuse(414)
        if len(self.headers) > _MOST_HEADERS or (self.around_body > _MOST_AROUND_BODY and self._is_too_large()):
            self.refuse(431)
        if self.parser.get_http_version() == "1.1" and not has_one_host(name for name, _ in self.headers):
            self.refuse(400)

    def _is_too_large(self) -> bool:
        """Whether it is the headers that are, and not the body that came with them."""
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _MOST_AROUND_BODY

    def on_body(self, body: bytes) -> None:
        self.around_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.note_whole()
        if not self._declines:
            super().on_message_complete()

    def note_whole(self) -> None:
        """The newest request is there as a whole."""
        self.around_body, self.is_whole = 0, True

    def _should_upgrade(self) -> bool:
        """To a WebSocket, where it can be opened: uvicorn's never answers a request for one that has a body."""
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return False
        return _has_no_body(self.headers) and super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        if self.is_answering:
            self.break_off(400)  # the connection can't be given away while something is to be written there
        else:
            super().handle_websocket_upgrade()

    def _decline(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            self.refuse(400)
        self._declines = True

    def _without_offer(self) -> bytes:
        """The newest request's line and headers, but for what protocol it offers."""
        line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([line, *lines, b"", b""])

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
        self.cycle.waiting_for_100_continue = False  # which would be written after the last word
        self.cycle.message_event.set()

    @property
    def _is_begun(self) -> bool:
        """Whether the newest request's headers were all there, and taken."""
        return self.cycle is not None and self.cycle.scope is self.scope

    @property
    def is_answering(self) -> bool:
        """Whether some of an answer has been sent, or of what was asked before is still to be."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        return not self._is_begun or bool(self.pipeline) or self.cycle.response_started

    def break_off(self, status: int) -> None:
        """Takes nothing more, and says why where that can't be mistaken for the answer to something else."""
        if isinstance(self.parser, _Deaf) or self.transport.is_closing():
            return
        self.parser, self.around_body = _Deaf(), 0  # type: ignore[assignment]
        self.flow.resume_reading()  # or it would not be seen that its client has gone
        if self._is_begun and self.pipeline:
            self._forget_newest()
        if self._is_begun and (self.is_answering or self.cycle.response_complete):
            self.transport.close()
        elif self.is_answering:
            self.cycle.keep_alive = False  # what was asked before is answered first
        else:
            self._answer_last(status)
            if self._is_begun:
                self.let_go()

    def _forget_newest(self) -> None:
        """Of those that wait."""
        self.pipeline.popleft()
        self.cycle = self.pipeline[0][0] if self.pipeline else self._running  # type: ignore[assignment]

    def _answer_last(self, status: int) -> None:
        if status == 503:
            self.write_answer(status, *refusal(self.path, self.headers), stays=False)
        else:
            text = _TEXTS[status].encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))]
            self.write_answer(status, headers, text, stays=False)
        self.transport.write_eof()
        self.loop.call_later(_LINGERS, self.transport.abort)


def has_one_host(names: Iterable[bytes]) -> bool:
    """As every request of HTTP/1.1 has to have (RFC 9112, 3.2): what comes after the server may go by another."""
    return list(names).count(b"host") == 1


def _has_no_body(headers: Headers) -> bool:
    return all(value == b"0" for name, value in headers if name in {b"content-length", b"transfer-encoding"})
