"""uvicorn's own HTTP protocol, but that it answers a gateway at once where all that it takes is remembered.

For each request uvicorn makes a task, a scope and an event, and takes the answer in two messages whose headers it looks
through one by one; all of that costs more than such a check. What can't be answered at once goes that way as ever.
"""

from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from server.verify import PATH, verify_at_once

_PATH = PATH.encode()
# What comes with a body, or wants more than an answer.
_NOT_AT_ONCE = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})


class WireProtocol(HttpToolsProtocol):
    _was_answered = False

    def on_headers_complete(self) -> None:
        if self.url.startswith(_PATH):
            answer = None
            with suppress(Exception):  # which the other way will meet too, and knows what to do with
                answer = self._answer_at_once()
            if answer is not None:
                self._was_answered = True
                self.transport.write(answer)
                self.on_response_complete()
                return
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
