"""Whether the time that /verify takes tells an unknown key from a wrong secret: asked over one connection, in random
order, and compared with what chance alone does."""

import random
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import NormalDist, fmean, median, stdev
from time import perf_counter_ns

from bench.connection import Connection, get
from bench.data import Data, pair
from bench.progress import watched
from bench.report import machine, markdown

UNKNOWN, WRONG_IN_USE, WRONG_UNUSED, RIGHT = (
    "unknown key",
    "wrong secret, key in use",
    "wrong secret, key not in use",
    "right secret",
)
_SECRET_FROM = (UNKNOWN, WRONG_IN_USE, WRONG_UNUSED)
"""Among these nobody must be able to tell."""

_CONFIDENCE = 0.99
_TRIMMED = 0.1  # of the slowest and of the fastest
_BLOCKS = 100
_ELSEWHERE = 10**9  # numbers of keys that no database has


@dataclass(frozen=True)
class Difference:
    """Of two kinds, in seconds: by how much the first is slower, in each block of time and over all."""

    kinds: tuple[str, str]
    mean: float
    margin: float
    slower: float  # how often one of the first is slower than one of the second
    slower_margin: float

    @property
    def is_seen(self) -> bool:
        return abs(self.mean) > self.margin or abs(self.slower - 0.5) > self.slower_margin


def measure(data: Data, address: str, requests: int, seed: int) -> str:
    """Markdown: medians, trimmed means, differences with their margins, and the verdict."""
    taken = _ask(data, address, requests, random.Random(seed))
    rows = [
        [kind, f"{median(times) * 1e6:.1f}", f"{_trimmed_mean(times) * 1e6:.1f}", f"{stdev(times) * 1e6:.1f}"]
        for kind, times in taken.items()
    ]
    # The same kind in two halves shows what the method sees where there is nothing.
    halves = {f"{UNKNOWN}, one half": taken[UNKNOWN][::2], f"{UNKNOWN}, the other": taken[UNKNOWN][1::2]}
    differences = [_difference(halves, *halves), *(_difference(taken, *kinds) for kinds in combinations(taken, 2))]
    return "\n\n".join(
        [
            machine(),
            f"{requests:,} requests of each kind to `/verify` over one connection, in random order, in microseconds:",
            markdown(["", "median", f"mean without {_TRIMMED:.0%} at each end", "deviation"], rows, texts=1),
            f"Differences, with their {_CONFIDENCE:.0%} margins; a half of all pairs is chance:",
            markdown(
                ["first", "second", "first is slower by µs", "how often"],
                [
                    [
                        *each.kinds,
                        f"{each.mean * 1e6:+.2f} ± {each.margin * 1e6:.2f}",
                        f"{each.slower:.2%} ± {each.slower_margin:.2%}",
                    ]
                    for each in differences
                ],
            ),
            *(_verdict(each) for each in differences[1:] if set(each.kinds) <= set(_SECRET_FROM)),
            "",
        ]
    )


def _verdict(difference: Difference) -> str:
    first, second = difference.kinds
    if not difference.is_seen:
        return f"Nobody can tell {first} from {second} by the time it takes: the difference is within the margin."
    return (
        f"Time TELLS {first} from {second}: {difference.mean * 1e6:+.1f} µs on average, and {difference.slower:.1%} of "
        "the pairs are in that order."
    )


def _ask(data: Data, address: str, requests: int, order: random.Random) -> dict[str, list[float]]:
    """Seconds for each request of each kind, in the order in which they were asked."""
    connection, taken = Connection(address), {kind: list[float]() for kind in (*_SECRET_FROM, RIGHT)}
    in_use = range(min(data.warm, data.credentials // 2, 1000))
    for number in in_use:
        assert connection.ask(_question(data, number, pair(data.seed, number)[1])).status == 200
    kinds = [kind for kind in taken for _ in range(requests)]
    order.shuffle(kinds)
    for turn, kind in enumerate(watched(kinds, len(kinds), "Requests")):
        wrong = pair(data.seed, _ELSEWHERE + turn)[1]
        match kind:
            case "unknown key":
                question = _question(data, _ELSEWHERE + turn, wrong)
            case "wrong secret, key not in use":
                question = _question(data, order.randrange(len(in_use), data.credentials), wrong)
            case _:
                number = order.choice(in_use)
                question = _question(data, number, pair(data.seed, number)[1] if kind == RIGHT else wrong)
        began = perf_counter_ns()
        answer = connection.ask(question)
        taken[kind].append((perf_counter_ns() - began) / 1e9)
        assert answer.status == (200 if kind == RIGHT else 401), f"{kind} was answered {answer.status}"
    return taken


def _question(data: Data, number: int, secret: str) -> bytes:
    basic = b64encode(f"{pair(data.seed, number)[0]}:{secret}".encode()).decode()
    return get("/verify", {"X-Sealkey-Gateway-Token": data.gateway_token, "Authorization": f"Basic {basic}"})


def _difference(taken: dict[str, list[float]], first: str, second: str) -> Difference:
    """Block by block, so that a machine that is now faster, now slower, is the same to both."""
    blocks = list(zip(_blocks(taken[first]), _blocks(taken[second]), strict=True))
    each = [_trimmed_mean(a) - _trimmed_mean(b) for a, b in blocks]
    quantile = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
    margin = quantile * stdev(each) / sqrt(len(each)) if len(each) > 1 else float("inf")
    slower = [_how_often_slower(a, b) for a, b in blocks]
    slower_margin = quantile * stdev(slower) / sqrt(len(slower)) if len(slower) > 1 else float("inf")
    return Difference((first, second), fmean(each), margin, fmean(slower), slower_margin)


def _blocks(times: Sequence[float]) -> list[Sequence[float]]:
    count = max(1, min(_BLOCKS, len(times) // 10))
    size = len(times) / count
    return [times[round(place * size) : round((place + 1) * size)] for place in range(count)]


def _trimmed_mean(times: Sequence[float]) -> float:
    cut = int(len(times) * _TRIMMED)
    return fmean(sorted(times)[cut : len(times) - cut])


def _how_often_slower(first: Sequence[float], second: Sequence[float]) -> float:
    """Of all pairs (Mann and Whitney's U over their number); equal ones count half."""
    ordered = sorted([(time, True) for time in first] + [(time, False) for time in second])
    ranks, place = 0.0, 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end][0] == ordered[place][0]:
            end += 1
        ranks += sum(is_first for _, is_first in ordered[place:end]) * (place + end + 1) / 2
        place = end
    return (ranks - len(first) * (len(first) + 1) / 2) / (len(first) * len(second))
