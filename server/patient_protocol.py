"""The same, where nobody keeps a connection who neither goes on asking nor takes what was answered.

uvicorn waits for both without end; only who asks nothing after an answer is let go of, after five seconds.
"""

from asyncio import TimerHandle, Transport

from server.bounded_protocol import BoundedProtocol

# A connection is looked at so often, in seconds, and may so many times after the first be found as it was while its
# client is awaited.
_LOOK_EVERY, _ROUNDS = 10.0, 3


class PatientProtocol(BoundedProtocol):
    _timer: TimerHandle | None = None
    # How often what was too much to send has been taken.
    _taken = 0
    # How it was when it was last looked at, and how often in a row it was the same.
    _seen, _rounds = (0, 0, 0), 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(_LOOK_EVERY, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._taken += 1
        super().resume_writing()

    def _look(self) -> None:
        if self not in self.connections:  # it is a WebSocket's now
            return
        self._timer = self.loop.call_later(_LOOK_EVERY, self._look)
        unsent = self.transport.get_write_buffer_size()
        found = self.asked, self._taken, unsent
        is_kept_waiting = found == self._seen and (unsent > 0 or self._is_incomplete())
        self._seen, self._rounds = found, self._rounds + 1 if is_kept_waiting else 0
        if self._rounds == _ROUNDS:
            self._time_out(unsent)

    def _is_incomplete(self) -> bool:
        """Whether a request is awaited that is not there as a whole, and it is its client who keeps it waiting."""
        is_awaited = self.around_body != 0 or not self.is_whole
        return is_awaited and not self.is_answering and not self.flow.read_paused

    def _time_out(self, unsent: int) -> None:
        if unsent:
            self.transport.abort()
        elif not self.asked:
            self.transport.close()
        else:
            self.break_off(408)
