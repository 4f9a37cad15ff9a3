"""Tables of what was measured, for people and as Markdown."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from os import cpu_count
from pathlib import Path
from statistics import median

from bench.throughput import Measured, Options

_PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "strawberry-graphql", "tortoise-orm", "asyncpg")
_COUNTERPARTS = {"better-auth": "verify-warm", "django": "verify-warm", "mercurius": "graphql"}
Row = Sequence[str]


def machine() -> str:
    """Where it was measured."""
    packages = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return f"{cpu_count()} cores, {_processor()}, {platform.system()}, Python {platform.python_version()}, {packages}."


def report(measured: Sequence[Measured], options: Options, warm: int) -> str:
    """Markdown: how it was measured, and a table for each number of workers."""
    parts = [
        machine(),
        f"{options.credentials:,} credentials, warm cases draw from {warm:,} of them; {options.connections} "
        f"connections; medians of {options.rounds} rounds of {options.seconds:g} s, in each of which every server was "
        "asked once. Ratios are to the server beside it in the same round.",
    ]
    for workers in sorted({each.subject.workers for each in measured}):
        beside = [each for each in measured if each.subject.workers == workers]
        parts += [
            f"{workers} worker{'s' if workers > 1 else ''}:",
            markdown(_HEAD, [_row(each, beside[0]) for each in beside]),
        ]
        if peers := _beside_peers(beside):
            parts += ["Ours ÷ theirs:", peers]
    return "\n\n".join(parts) + "\n"


_HEAD = ["server", "case", "checks/s", "÷ empty answer", "p50 ms", "p99 ms", "CPU µs per check", "peak memory MB"]


def _row(measured: Measured, empty: Measured) -> Row:
    case, loads = measured.subject.case, measured.loads
    rates = [load.per_second * case.checks for load in loads]
    ratio = median(rate / base.per_second for rate, base in zip(rates, empty.loads, strict=True))
    return [
        measured.subject.target,
        case.title,
        f"{median(rates):,.0f}",
        f"{ratio:.3f}",
        f"{median(load.p50 for load in loads) * 1e3:.1f}",
        f"{median(load.p99 for load in loads) * 1e3:.1f}",
        f"{median(measured.cpu_per_request) / case.checks * 1e6:,.0f}",
        f"{max(memory.peak for memory in measured.memory) / 1e6:,.0f}",
    ]


def _beside_peers(beside: Sequence[Measured]) -> str:
    """How many times as many checks a second as a peer ours does that is asked the same."""
    rows = []
    for their in beside:
        for our in beside:
            if our.subject.case.name == _COUNTERPARTS.get(their.subject.target):
                ratio = median(a.per_second / b.per_second for a, b in zip(our.loads, their.loads, strict=True))
                rows.append([f"{our.subject.target}, {our.subject.case.title}", their.subject.target, f"{ratio:.2f}"])
    return markdown(["ours", "theirs", "ratio"], rows) if rows else ""


def markdown(head: Row, rows: Sequence[Row], *, texts: int = 2) -> str:
    """A table whose columns stand below each other as plain text too: so many texts to the left, then numbers."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [_line([text.ljust(width) for text, width in zip(head, widths, strict=True)])]
    lines.append(
        "|"
        + "|".join(("-" * (width + 1)) + ("-" if place < texts else ":") for place, width in enumerate(widths))
        + "|"
    )
    for row in rows:
        padded = [
            text.ljust(width) if place < texts else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(_line(padded))
    return "\n".join(lines)


def _line(cells: Row) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
