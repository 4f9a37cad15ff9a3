"""Requests that this process has answered, in plain numbers: how many, with which status, and how long they took."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds up to which answers are counted together."""
_PATHS = frozenset(
    {"/", "/graphql", "/v2/login", "/oauth/token", "/oauth/introspect", "/oauth/revoke", "/schema.graphql"}
    | {"/healthz", "/readyz", "/metrics"}
)
_BELOW = ("/verify", "/graphiql", "/.well-known", "/audit")
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS"})


def route_of(path: str) -> str:
    """Of the few that there are, that which a path leads to, whatever clients write."""
    path = path.rstrip("/") or "/"
    if path in _PATHS:
        return path
    return next((route for route in _BELOW if path == route or path.startswith(f"{route}/")), "other")


def method_of(method: str) -> str:
    """Of the few that there are."""
    return method if method in _METHODS else "other"


class Durations:
    """How many took up to each of BUCKETS and no less, how many took longer, and all of them together, in seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class RequestCounts:
    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By route, method and status. 499: nobody was there any more to be answered."""
        self.durations: defaultdict[str, Durations] = defaultdict(Durations)
        """By route."""
        self.operations: Counter[tuple[str, str]] = Counter()
        """Of GraphQL, by kind and by the code of the first error, or `OK`."""
        self.operation_durations: defaultdict[str, Durations] = defaultdict(Durations)
        """By kind."""
        self.verify_failures: Counter[str] = Counter()
        """By code."""
        self.websockets = 0
        """That are open."""

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        route = route_of(path)
        self.requests[route, method_of(method), status] += 1
        self.durations[route].add(seconds)

    def executed(self, kind: str, codes: Iterable[str], seconds: float) -> None:
        self.operations[kind, next(iter(codes), "OK")] += 1
        self.operation_durations[kind].add(seconds)
