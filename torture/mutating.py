"""Inputs made out of good ones: a few slips, cuts and repetitions at a time, and what is known to hurt.

An input that led somewhere new is kept and goes through more of them, so that what a parser tells apart guides where
it is looked into. All of it follows from the seed.
"""

from collections.abc import Callable, Hashable, Sequence
from random import Random

_MOST_KEPT = 2_000
_LONGEST = 20_000
_HURTING: Sequence[bytes] = [
    *(b"", b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n", b"\t", b" ", b"\x1b[0m", b"\x7f"),
    *("\u202e".encode(), "\u0661".encode(), "\u00e9".encode(), "\U0001f511".encode(), "\ufeff".encode()),
    *(b"0", b"-1", b"1e999", b"NaN", b"Infinity", b"2147483648", b"18446744073709551616", b"9" * 400, b"0x41", b"1_0"),
    *(b"null", b"true", b"[]", b"{}", b'"', b"'", b"\\", b"\\u0000", b"\\ud800", b"[" * 300, b'{"a":' * 100, b"%00"),
    *(b"%", b"%ff", b"+", b"=", b"==", b"-", b"_", b"--", b"@", b";", b":", b",", b".", b"..", b"/", b"<", b"&", b"$"),
    *(b"-----BEGIN ", b"-----END ", b"A" * 70, b"AAAA", b"\x30\x80", b"\x02\x01\x00", b"\x30\x84\xff\xff\xff\xff"),
    *(
        b"::ffff:1.2.3.4",
        b"fe80::1%eth0",
        b"999.0.0.1",
        b"\x04\xff",
        b"cred_",
        b"_key_",
        b"_secret_",
        b"=cmd|' /C x'!A1",
    ),
]


class Mutator:
    """`seeds` are good inputs."""

    def __init__(self, seeds: Sequence[bytes], seed: int) -> None:
        self._random = Random(seed)
        self._kept = list(seeds)
        self._seen: set[Hashable] = set()

    def next(self) -> bytes:
        chance = self._random
        data = chance.choice(self._kept)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
            data = chance.choice(_WAYS)(chance, data, self._kept)
        return data[:_LONGEST]

    def led_to(self, data: bytes, outcome: Hashable) -> None:
        """Keeps an input that led where none had."""
        if outcome not in self._seen and len(self._kept) < _MOST_KEPT:
            self._seen.add(outcome)
            self._kept.append(data)


Way = Callable[[Random, bytes, list[bytes]], bytes]


def _span(chance: Random, data: bytes) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.choice((1, 1, 2, 4, 16, 64, 400)))


def _flip(chance: Random, data: bytes, _kept: list[bytes]) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _cut(chance: Random, data: bytes, _kept: list[bytes]) -> bytes:
    start, end = _span(chance, data)
    return data[:start] + data[end:]


def _repeat(chance: Random, data: bytes, _kept: list[bytes]) -> bytes:
    start, end = _span(chance, data)
    return data[:end] + data[start:end] * chance.choice((1, 1, 2, 50)) + data[end:]


def _hurt(chance: Random, data: bytes, _kept: list[bytes]) -> bytes:
    start, end = _span(chance, data)
    return data[:start] + chance.choice(_HURTING) + data[chance.choice((start, end)) :]


def _swap(chance: Random, data: bytes, _kept: list[bytes]) -> bytes:
    start, end = _span(chance, data)
    other, after = _span(chance, data)
    return data[:start] + data[other:after] + data[end:]


def _splice(chance: Random, data: bytes, kept: list[bytes]) -> bytes:
    other = chance.choice(kept)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _scramble(chance: Random, data: bytes, _kept: list[bytes]) -> bytes:
    start, end = _span(chance, data)
    return data[:start] + chance.randbytes(end - start) + data[end:]


_WAYS: Sequence[Way] = (_flip, _cut, _repeat, _hurt, _hurt, _swap, _splice, _scramble)
