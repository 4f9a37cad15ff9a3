"""Requests a second of real servers, side by side: each round asks every server once, in another order each time, and
all but the one that is asked are frozen."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from bench.cases import CASES, EMPTY, Case
from bench.data import Data, sqlite_database
from bench.load import Load, LoadFailed, Wrk
from bench.progress import say
from bench.servers import Memory, Server, copied_sqlite, filled_postgres, running_empty, running_sealkey

DATABASES = ("sqlite", "postgres")
WORKERS = (1, 2)
_WARM_UP = 0.3  # of a round, each time that a server is thawed
_SWEEPS = 5  # of all warm keys where there are several workers: each connection is one worker's

Start = Callable[[], AbstractContextManager[Server]]


@dataclass(frozen=True)
class Options:
    credentials: int
    rounds: int
    seconds: float
    connections: int
    seed: int
    only: tuple[str, ...]
    flushes_every: int


@dataclass(frozen=True)
class Subject:
    """A server of its own that is asked one thing. `target` is the database it uses, or whose server it is."""

    target: str
    case: Case
    workers: int
    start: Start

    @property
    def name(self) -> str:
        return f"{self.target}/{self.case.name}/{self.workers}"


@dataclass
class Measured:
    """What came of one subject, round by round."""

    subject: Subject
    loads: list[Load] = field(default_factory=list)
    cpu_per_request: list[float] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)


def is_chosen(name: str, only: tuple[str, ...]) -> bool:
    """Whether one of the patterns fits the name, or one of its parts; no patterns choose all."""
    texts = [name, *name.split("/")]
    return not only or any(fnmatch(text, pattern) for pattern in only for text in texts)


Peers = Callable[[Data, Path, int], list[Subject]]


def measure(data: Data, options: Options, runs: Path, peers: Peers | None) -> list[Measured]:
    """Every chosen subject, those of one number of workers side by side, with the empty answer first among them."""
    with ExitStack() as stack:
        measured = []
        starts = _Databases(data, runs, stack)
        for workers in WORKERS:
            empty = Subject(
                "empty", EMPTY, workers, partial(running_empty, runs / f"empty-{workers}.log", workers=workers)
            )
            ours = [
                _subject(starts, data, runs, database, case, workers, options.flushes_every)
                for database in DATABASES
                for case in CASES
            ]
            others = peers(data, runs, workers) if peers else []
            chosen = [each for each in [*ours, *others] if is_chosen(each.name, options.only)]
            if chosen:
                measured += _side_by_side([empty, *chosen], data, options)
        return measured


class _Databases:
    """Filled databases, each made when it is first asked for."""

    def __init__(self, data: Data, runs: Path, stack: ExitStack) -> None:
        self._data, self._runs, self._stack = data, runs, stack
        self._urls: dict[str, str] = {}

    def url(self, database: str) -> str:
        if database not in self._urls:
            self._urls[database] = self._stack.enter_context(filled_database(self._data, database, self._runs))
        return self._urls[database]


@contextmanager
def filled_database(data: Data, database: str, runs: Path) -> Iterator[str]:
    """The URL of a database with the rows, which is gone at the end."""
    if database == "sqlite":
        with copied_sqlite(sqlite_database(data), runs) as url:
            yield url
    else:
        with filled_postgres(data) as (_, url):
            yield url


def _subject(
    databases: _Databases, data: Data, runs: Path, database: str, case: Case, workers: int, flushes_every: int
) -> Subject:
    log = runs / f"{database}-{case.name}-{workers}.log"

    def start() -> AbstractContextManager[Server]:
        return running_sealkey(data, databases.url(database), log, workers=workers, flushes_every=flushes_every)

    return Subject(database, case, workers, start)


def _side_by_side(subjects: list[Subject], data: Data, options: Options) -> list[Measured]:
    with ExitStack() as stack:
        running = []
        for subject in subjects:
            say(f"Starting {subject.name}.")
            server = stack.enter_context(subject.start())
            _warm(subject, server, data, options)
            server.settle()
            server.freeze()
            running.append((Measured(subject), server))
        order = random.Random(options.seed)
        for round_ in range(options.rounds):
            for measured, server in order.sample(running, len(running)):
                server.thaw()
                _ask(measured, server, data, options, round_)
                server.freeze()
                say(
                    f"Round {round_ + 1} of {options.rounds}: {measured.subject.name} "
                    f"{measured.loads[-1].per_second * measured.subject.case.checks:,.0f}/s"
                )
        return [measured for measured, _ in running]


def _warm(subject: Subject, server: Server, data: Data, options: Options) -> None:
    request = subject.case.warm_up
    if request is None or subject.target == "empty":
        return
    wrk, warm_up = Wrk(options.connections), request(data)
    say(f"Asking it about each of the {warm_up.count:,} warm ones.")
    for sweep in range(1 if subject.workers == 1 else _SWEEPS):
        _asked(subject, server, partial(wrk.ask_all, server.address, warm_up, seed=sweep))


def _ask(measured: Measured, server: Server, data: Data, options: Options, round_: int) -> None:
    """One round: a while with a look at each answer, then as fast as it goes, until what followed of it is done."""
    case = measured.subject.case
    wrk = Wrk(max(1, round(options.connections * case.share)))
    request, seed = case.request(data), options.seed + round_
    seconds, before = options.seconds, server.cpu_seconds()
    looked = _asked(
        measured.subject, server, lambda: wrk.look(server.address, request, seconds=seconds * _WARM_UP, seed=~seed)
    )
    load = _asked(measured.subject, server, lambda: wrk.ask(server.address, request, seconds=seconds, seed=seed))
    server.settle()
    measured.loads.append(load)
    measured.cpu_per_request.append((server.cpu_seconds() - before) / (looked.requests + load.requests))
    measured.memory.append(server.memory())


def _asked(subject: Subject, server: Server, ask: Callable[[], Load]) -> Load:
    try:
        return ask()
    except LoadFailed as failed:
        raise LoadFailed(f"{subject.name}: {failed}\n{server.last_lines()}") from None
