"""uvicorn's own protocols, a little otherwise. That for HTTP answers a gateway at once where all that it takes is
remembered.

For each request uvicorn makes a task, a scope and an event, and takes the answer in two messages whose headers it looks
through one by one; all of that costs more than such a check, and the task more than refusing what there is no room for.
What can't be answered at once goes that way as ever; an operation does once all of a small request is there.
"""

from contextlib import suppress
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server.admission import PLACE, is_gated, refusal
from server.bounded_protocol import has_one_host
from server.gate import Gate, Overloaded, Place, Share
from server.graphql_stream import ABORT
from server.patient_protocol import PatientProtocol
from server.verify import BEGAN, PATH, verify_at_once

_PATH = PATH.encode()
_SENT_WITHIN = 0.2  # seconds
# What wants more than an answer, or comes with a body, that of /verify being none.
_NOT_PLAIN = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_NOT_AT_ONCE = _NOT_PLAIN | {b"content-length"}
# Larger ones are taken as they come, beyond what uvicorn keeps without being asked.
_MOST_HELD = 64 * 1024


class WireProtocol(PatientProtocol):
    _was_answered = False
    # What is to be asked once a request is there as a whole, and what room that takes until then.
    _held: Any = None
    _share: Share | None = None

    def shutdown(self) -> None:
        _end_subscriptions(self.app)
        if self._held is not None:
            self.transport.close()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._held is not None:
            self.let_go()
        super().connection_lost(exc)

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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.more_body and cycle.scope is self.scope and self._is_to_be_held():
            self._held = app
        else:
            super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        if self._held is not None:
            self._take_room(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._was_answered:
            self._was_answered = False
            self.note_whole()
            return
        super().on_message_complete()
        if self._held is not None:
            self._admit_or_refuse()

    def let_go(self) -> None:
        super().let_go()
        if self._held is not None:
            self._start_held()  # it is no request, but is on record

    def _is_to_be_held(self) -> bool:
        """Whether the request is one that takes work, and small."""
        if not is_gated(self.path) or self._gate() is None:
            return False
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"0")
        return _NOT_PLAIN.isdisjoint(headers) and length.isdigit() and int(length) <= _MOST_HELD

    def _gate(self) -> Any:
        """A Gate. None before the server has started, and of an application that has none."""
        return getattr(getattr(self.app, "state", None), "gate", None)

    def _take_room(self, number: int) -> None:
        self._share = self._share or self._gate().share()
        try:
            self._share.add(number)
        except Overloaded:
            self.refuse(503)

    def _leave_room(self) -> None:
        if self._share is not None:
            self._share.leave()
            self._share = None

    def _start_held(self, place: Place | None = None) -> None:
        app, self._held = self._held, None
        self._leave_room()
        super()._start_asgi_task(self.cycle, partial(_leaving, place, app) if place else app)

    def _admit_or_refuse(self) -> None:
        gate: Gate = self._gate()
        if not gate.is_full:
            place = self.scope["state"][PLACE] = gate.take()
            self._start_held(place)
        elif self.flow.write_paused:
            self._start_held()  # to be refused once what was answered before is taken
        else:
            gate.full += 1
            self._refuse_for_now()

    def _refuse_for_now(self) -> None:
        stays, self._held = self.cycle.keep_alive, None
        self._leave_room()
        self.cycle.response_started = self.cycle.response_complete = True
        self.write_answer(503, *refusal(self.path, self.headers), stays=stays)
        if not stays:
            self.transport.close()
        self.on_response_complete()

    def _is_first(self) -> bool:
        """Whether nothing that was asked before on this connection is still to be answered."""
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def _answer_at_once(self) -> bytes | None:
        if not self._is_first() or self.flow.write_paused or not self._is_plain():
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
        """Whether the request is a good one, the connection stays open, and nothing follows these headers."""
        if not self.parser.should_keep_alive() or self.parser.get_http_version() != "1.1":
            return False
        names = [name for name, _ in self.headers]
        return has_one_host(names) and _NOT_AT_ONCE.isdisjoint(names)


async def _leaving(place: Place, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Whatever becomes of the request, also where nobody asks for its place."""
    try:
        await app(scope, receive, send)
    finally:
        place.leave()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, of two the one that does not build on what websockets has deprecated. It cuts off who takes
    nothing any more once there is nothing left to do, and does not wait for good until all is written out; and when
    the server stops, what waits to be told is sent before it closes, with 1012, which has clients come again."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # What is no handshake websockets answers, and uvicorn does not send that.
        if self.conn.handshake_exc is not None and not self.transport.is_closing():
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # who takes none of the answers gets no more of them

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._cut_off_who_takes_nothing()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self._cut_off_who_takes_nothing()

    def _cut_off_who_takes_nothing(self) -> None:
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
