"""Requests as large as somebody might send who means no good: how long the server is busy with refusing each, without
a socket between."""

import logging
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import httpx
import orjson
import structlog

from server.app import create_app
from server.settings import Settings

ROUNDS = 15
_JSON = {"Content-Type": "application/json"}


def _many(number: int, text: str) -> str:
    return " ".join(text.replace("#", str(n)) for n in range(number))


def _exponential(levels: int) -> str:
    fragments = (f"fragment F{n} on Viewer {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels))
    return f"{{ viewer {{ ...F0 }} }} {' '.join(fragments)} fragment F{levels} on Viewer {{ role }}"


# As they come, and as large as there is room for where that is less.
_DOCUMENTS = {
    "fragments in each other, 2 ** 80 fields": _exponential(80),
    "10,000 aliases": f"{{ {_many(10_000, 'a#: __typename')} }}",
    "1,700 aliases, 32 KiB": f"{{ {_many(1_700, 'a#: __typename')} }}",
    "1 MB of directives": "{ __typename " + "@a " * 333_000 + "}",
    "16,000 directives, 32 KiB": "{ __typename " + "@a" * 16_000 + "}",
    "490 directives, 1000 tokens": "{ __typename " + "@a" * 490 + "}",
    "100,000 tokens": "{" + "a " * 100_000 + "}",
    "32,000 tokens, 32 KiB": "{" * 32_000,
    "one field 190 times": "{ viewer { " + "user { email } " * 190 + "} }",
    "lists in lists in lists": "{ services(first: 100) { nodes { identities(first: 100) { nodes { services(first: 100) "
    "{ nodes { id } } } } } } }",
}
_BODIES: dict[str, bytes] = {
    **{name: orjson.dumps({"query": document}) for name, document in _DOCUMENTS.items()},
    "JSON nested a million deep": b"[" * 1_000_000,
    "JSON objects nested 200,000 deep": b'{"a":' * 200_000,
    "1 MB of JSON that is nothing": b"[" + b"0," * 500_000 + b"0]",
}


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print("Refusing what is too large: milliseconds, the median and the longest of", ROUNDS)
    with tempfile.TemporaryDirectory() as directory:
        app = create_app(Settings(data_dir=Path(directory)))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sealkey") as client:
                await client.post("/graphql", json={"query": "{ viewer { role } }"})
                for name, body in _BODIES.items():
                    await _measure(client, name, body)


async def _measure(client: httpx.AsyncClient, name: str, body: bytes) -> None:
    took = []
    for number in range(ROUNDS):
        # Each a little longer, so that none is answered from memory.
        sent = body.replace(b'"}', b" " * number + b'"}') if body.endswith(b'"}') else body
        began = perf_counter()
        answer = await client.post("/graphql", content=sent, headers=_JSON)
        took.append((perf_counter() - began) * 1000)
        assert "data" not in answer.json()
    code = answer.json()["errors"][0]["extensions"]["code"]
    print(f"{name}: {median(took):.1f}, {max(took):.1f} ({code})")
