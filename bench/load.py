"""Load by wrk: what is sent, and what came of it. The sending is in load.lua."""

import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, gcd
from pathlib import Path

from bench.data import Records

_SCRIPT = Path(__file__).parent / "load.lua"
_LONGEST_SWEEP = 900  # seconds
_START = 0.2  # seconds until wrk minds an interruption

Part = str | tuple[int, int]
"""A text as it stands, or the characters of a record from a place up to and without another."""


class LoadFailed(Exception):
    """Answers were not what they should be, or there were none; the message says what there was."""


@dataclass(frozen=True)
class Request:
    """A request for each of the first `count` records, or with a batch of them in each.

    expected: what stands in each right answer's body; unexpected: what does not."""

    records: Records
    count: int
    before: str
    item: Sequence[Part]
    after: str
    batch: int = 1
    expected: str = ""
    unexpected: str = "\0"


def get(path: str, headers: dict[str, str], authorization: Sequence[Part], records: Records, count: int) -> Request:
    """A GET with something of a record in its Authorization."""
    before = f"GET {path} HTTP/1.1\r\nHost: sealkey.example\r\n{_lines(headers)}Authorization: "
    return Request(records, count, before, authorization, "\r\n\r\n")


def post(
    path: str,
    headers: dict[str, str],
    before: str,
    item: Sequence[Part],
    after: str,
    records: Records,
    count: int,
    *,
    batch: int = 1,
    expected: str = "",
    unexpected: str = "\0",
) -> Request:
    """A POST of JSON with something of a record, or of several with commas between, in its body."""
    of_item = sum(len(part) if isinstance(part, str) else part[1] - part[0] for part in item)
    length = len(before) + batch * of_item + (batch - 1) + len(after)
    headers = {**headers, "Content-Type": "application/json", "Content-Length": str(length)}
    head = f"POST {path} HTTP/1.1\r\nHost: sealkey.example\r\n{_lines(headers)}\r\n"
    return Request(records, count, head + before, item, after, batch, expected, unexpected)


@dataclass(frozen=True)
class Load:
    """What wrk counted. Latencies are in seconds."""

    seconds: float
    requests: int
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True)
class Wrk:
    """One wrk: a thread with so many connections that are kept open, each asking when it has been answered."""

    connections: int

    def ask(self, address: str, request: Request, *, seconds: float, seed: int) -> Load:
        """Records at random, for so long. Raises LoadFailed where an answer's status was above 399, or there was
        none."""
        load = self._run(address, _spec(request, seed=seed), seconds)
        if not load.requests:
            raise LoadFailed(f"In {seconds:g} seconds there was no answer.")
        return load

    def look(self, address: str, request: Request, *, seconds: float, seed: int) -> Load:
        """The same, looking at each answer, which takes wrk a while. Raises LoadFailed where one was not as
        expected."""
        return self._run(address, _spec(request, seed=seed, look=True), seconds)

    def ask_all(self, address: str, request: Request, *, seed: int) -> Load:
        """Each record once, in an order that depends on the seed, looking at each answer. Raises LoadFailed."""
        # A connection that has nothing to ask for would still ask.
        few = replace(self, connections=min(self.connections, max(1, request.count // request.batch)))
        load = few._run(address, _spec(request, seed=seed, look=True, in_order=True), _LONGEST_SWEEP)
        if load.requests * request.batch < request.count:
            raise LoadFailed(f"In {_LONGEST_SWEEP} s only {load.requests * request.batch:,} of {request.count:,} came.")
        return load

    def _run(self, address: str, spec: str, seconds: float) -> Load:
        with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as file:
            file.write(spec)
            file.flush()
            options = [f"--connections={self.connections}", "--threads=1", "--timeout=10s", "--latency"]
            command = ["wrk", *options, f"--duration={ceil(seconds)}s", f"--script={_SCRIPT}", address, "--", file.name]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as wrk:
                try:
                    # wrk counts whole seconds; it ends sooner, and says what it has, where it is interrupted.
                    printed, told = wrk.communicate(timeout=None if seconds == ceil(seconds) else seconds + _START)
                except subprocess.TimeoutExpired:
                    wrk.send_signal(signal.SIGINT)
                    printed, told = wrk.communicate()
                except BaseException:
                    wrk.kill()
                    raise
        return _read(told, printed)


def _read(told: str, printed: str) -> Load:
    try:
        microseconds, requests, p50, p99, broken, refused, example = told.splitlines()[-1].split(" ", 6)
    except (IndexError, ValueError):
        raise LoadFailed(f"wrk failed: {told}{printed}") from None
    if int(broken) or int(refused):
        raise LoadFailed(
            f"Of {requests} answers {refused} were not as expected, and {broken} connections broke. {example}".strip()
        )
    return Load(int(microseconds) / 1e6, int(requests), int(p50) / 1e6, int(p99) / 1e6)


def _spec(request: Request, *, seed: int, look: bool = False, in_order: bool = False) -> str:
    """What load.lua reads, as Lua."""
    fields = {
        "records": _lua(str(request.records.path)),
        "width": str(request.records.width),
        "count": str(request.count),
        "batch": str(request.batch),
        "before": _lua(request.before),
        "item": "{" + ", ".join(_lua_part(part) for part in request.item) + "}",
        "separator": _lua(","),
        "after": _lua(request.after),
        "expected": _lua(request.expected),
        "unexpected": _lua(request.unexpected),
        "seed": str(seed),
        "look": str(look).lower(),
        "in_order": str(in_order).lower(),
        "step": str(_step(request.count, seed)),
    }
    return "return {" + ", ".join(f"{name} = {value}" for name, value in fields.items()) + "}\n"


def _step(count: int, seed: int) -> int:
    step = (7_919 + 104_729 * seed) % max(count, 1) or 1
    while gcd(step, count) != 1:
        step += 1
    return step


def _lua_part(part: Part) -> str:
    return _lua(part) if isinstance(part, str) else f"{{{part[0] + 1}, {part[1]}}}"


def _lua(text: str) -> str:
    """A Lua string: each byte that is no ordinary letter by its number."""
    return '"' + "".join(chr(b) if chr(b).isalnum() and b < 128 else f"\\{b:03}" for b in text.encode()) + '"'


def _lines(headers: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
