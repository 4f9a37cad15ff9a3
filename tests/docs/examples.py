"""The GraphQL examples of a page, and what it says that they are answered with."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.docs.markdown import blocks
from tests.support.server import Client
from tests.support.world import Play

# Where an answer gives what later examples go on with.
_GIVEN = {
    "credential": ("generateCredential", "credential", "id"),
    "successor": ("rotateCredential", "credential", "id"),
    "apiKey": ("rotateCredential", "delivery", "apiKey"),
    "apiSecret": ("rotateCredential", "delivery", "apiSecret"),
    "endpoint": ("createWebhookEndpoint", "endpoint", "id"),
    "signingSecret": ("createWebhookEndpoint", "signingSecret"),
}


@dataclass(frozen=True)
class Example:
    """An operation, who sends it, and the answer as the page has it."""

    document: str
    who: str
    answer: str


def examples(text: str) -> list[Example]:
    """Each operation of a page with the answer under it."""
    found = []
    after = blocks(text)
    for at, block in enumerate(after):
        if block.language == "graphql":
            assert after[at + 1].language == "json", block.text
            who = re.match(r"# An? (\w+)\n", block.text)
            assert who, block.text
            found.append(Example(block.text, who[1], after[at + 1].text))
    return found


def fits(said: str, found: Any) -> bool:
    """Whether something is as the page has it, … standing for anything within a line."""
    pattern = "[^\n]*".join(re.escape(part) for part in said.rstrip().split("…"))
    return re.fullmatch(pattern, json.dumps(found, indent=2)) is not None


def run(play: Play, text: str, **variables: Any) -> dict[str, Any]:
    """Sends a page's operations one after the other, and compares the answers; all variables in the end."""
    known: dict[str, Any] = {
        "account": play.alder.id,
        "service": play.alder.services["certificates"],
        "otherService": play.alder.services["timestamps"],
        "identity": play.alder.identities["active"],
        **variables,
    }
    for example in examples(text):
        client: Client = getattr(play, example.who)
        wanted = {name: known[name] for name in re.findall(r"\$(\w+):", example.document)}
        data = client.execute(example.document, **wanted)
        assert "errors" not in data, data
        assert fits(example.answer, data["data"]), json.dumps(data["data"], indent=2)
        known |= _given(data["data"])
        # What is counted is written down a moment later.
        play.server.keep_house()
    return known


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, path in _GIVEN.items():
        value: Any = data
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            found[name] = value
    return found
