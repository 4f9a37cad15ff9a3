"""Whatever the schema allows to be asked, made up by schemathesis, which looks at the answers as well: they are
GraphQL's, with codes that are documented, and none of them is a fault."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from schema.errors import Code
from tests.plugins.play import Theatre
from tests.support.world import Play

CASES = int(os.environ.get("SEALKEY_GRAPHQL_CASES", "40"))
FAULTS = {Code.INTERNAL_SERVER_ERROR, Code.UNAVAILABLE}
INSTANTS = st.datetimes().map(lambda instant: nodes.String(f"{instant.isoformat()}Z"))


@pytest.fixture
def play(theatre: Theatre) -> Iterator[Play]:
    """Of one's own: much of what is made up as an operator changes something."""
    with theatre.new() as play:
        play.generate("ci")
        yield play


def test_nothing_that_can_be_asked_is_a_fault(play: Play, quick_passwords: None) -> None:
    schemathesis.graphql.scalar("DateTime", INSTANTS)
    schema: Any = schemathesis.graphql.from_url(f"{play.server.url}/graphql")
    operations = [result.ok() for result in schema.get_all_operations()]
    # Whoever signs out asks nothing more.
    strategies = [each.as_strategy() for each in operations if "signOut" not in each.label]
    people = st.sampled_from([play.operator, play.administrator, play.member, play.nobody])
    seen: set[str] = set()

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(strategies), people)
    def answers(case: Any, client: Any) -> None:
        response = case.call(headers=client.headers, timeout=60)
        answer = response.json()
        assert (response.status_code, set(answer) <= {"data", "errors", "extensions"}) == (200, True)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        seen.update(codes or {"none"})
        assert codes <= set(Code) - FAULTS

    answers()
    assert "none" in seen
