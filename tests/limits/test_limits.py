"""A document that is larger than it may be is refused by a look at it: its text is gone through once, and validation,
some of whose rules take the square of that, never sees it."""

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import get_introspection_query, parse

from schema import execution
from schema.api import build_api
from schema.limits import STANDARD, LimitExceeded, Survey
from server.settings import Settings
from tests.limits.documents import exponential, in_fragments, many, predecessors
from tests.plugins.play import Theatre
from tests.support.world import Play

EXAMPLES = sorted((Path(__file__).parents[2] / "graphiql/examples").glob("*.graphql"))
BEYOND = "COST_LIMIT_EXCEEDED"

# What is just within each limit, what is just beyond it, and what is then said.
LIMITS: dict[str, tuple[str, str, str]] = {
    "tokens": (f"{{ nodes(ids: [{'1 ' * 986}]) {{ id }} }}", f"{{ nodes(ids: [{'1 ' * 990}]) {{ id }} }}", "tokens"),
    "comments": ("#\n" * 1000 + "{ __typename }", "#\n" * 1001 + "{ __typename }", "comments"),
    "depth": (predecessors(12), predecessors(13), "nested too deep: the limit is 12."),
    "depth in fragments": (in_fragments(12), in_fragments(13), "nested too deep: the limit is 12."),
    "depth of introspection": (
        f"{{ __schema {{ types {{ {'ofType { ' * 17} name {'}' * 19} }}",
        f"{{ __schema {{ types {{ {'ofType { ' * 18} name {'}' * 20} }}",
        "nested too deep: the limit is 20.",
    ),
    "aliases": (
        f"{{ viewer {{ {many(30, 'a#: role')} }} }}",
        f"{{ viewer {{ {many(31, 'a#: role')} }} }}",
        "aliases: the limit is 30.",
    ),
    "directives": (
        f"{{ viewer {{ {many(25, 'role @skip(if: true) @include(if: true)')} }} }}",
        f"{{ viewer {{ {many(26, 'role @skip(if: true) @include(if: true)')} }} }}",
        "directives: the limit is 50.",
    ),
    "directives of variables": (
        f"query ($a: Int {'@nothing ' * 50}) {{ __typename }}",
        f"query ($a: Int {'@nothing ' * 51}) {{ __typename }}",
        "directives: the limit is 50.",
    ),
    "repetitions": (
        f"{{ viewer {{ {many(51, 'role')} }} }}",
        f"{{ viewer {{ {many(52, 'role')} }} }}",
        "repeated fields: the limit is 50.",
    ),
    "repetitions in inline fragments": (
        f"{{ viewer {{ {many(51, '... { role }')} }} }}",
        f"{{ viewer {{ {many(52, '... { role }')} }} }}",
        "repeated fields: the limit is 50.",
    ),
    "root fields": (
        f"{{ {many(20, 'a#: __typename')} }}",
        f"{{ {many(21, 'a#: __typename')} }}",
        "root: the limit is 20.",
    ),
    "root fields in fragments": (
        f"{{ {many(10, '...F')} }} fragment F on Query {{ __typename viewer {{ role }} }}",
        f"{{ {many(11, '...F')} }} fragment F on Query {{ __typename viewer {{ role }} }}",
        "root: the limit is 20.",
    ),
}
# What nobody sends who means well, and the code with which it is refused.
HOSTILE = {
    "fragments written out 2 ** 90 times": (
        exponential(90, "Viewer", "role").replace("...F0", "viewer { ...F0 }", 1),
        BEYOND,
    ),
    "the same at the root": (exponential(90), BEYOND),
    "fragments that would not end": (exponential(90).replace("__typename", "...F0"), "GRAPHQL_VALIDATION_FAILED"),
    "ten thousand aliases": (f"{{ {many(10_000, 'a#: __typename')} }}", "BAD_REQUEST"),
    "as many aliases as there is room for": (f"{{ {many(1700, 'a#: __typename')} }}", "GRAPHQL_PARSE_FAILED"),
    "a megabyte of directives": ("{ __typename " + "@a " * 330_000 + "}", "BAD_REQUEST"),
    "as many directives as there is room for": ("{ __typename " + "@a" * 15_000 + "}", "GRAPHQL_PARSE_FAILED"),
    "as many directives as there are tokens": ("{ __typename " + "@a" * 490 + "}", BEYOND),
    "100,000 tokens": ("{" + "a " * 100_000 + "}", "BAD_REQUEST"),
    "as many tokens as there is room for": ("{" * 32_000, "GRAPHQL_PARSE_FAILED"),
    "the same field again and again": ("{ viewer { " + "user { email } " * 190 + "} }", BEYOND),
}


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The rules by which documents were validated since; None for all."""
    seen: list[Any] = []
    validate = execution.validate  # type: ignore[attr-defined]

    def noting(schema_: Any, document: Any, rules: Any = None, **named: Any) -> Any:
        seen.append(rules)
        return validate(schema_, document, rules, **named)

    monkeypatch.setattr(execution, "validate", noting)
    return seen


@pytest.mark.parametrize(("within", "beyond", "message"), LIMITS.values(), ids=LIMITS)
def test_what_is_within_a_limit_is_validated_and_what_is_beyond_it_is_not(
    shared_play: Play, validated: list[Any], within: str, beyond: str, message: str
) -> None:
    codes = [error["extensions"]["code"] for error in shared_play.member.execute(within).get("errors", ())]
    assert BEYOND not in codes
    assert validated == [None]
    (error,) = shared_play.member.execute(beyond)["errors"]
    assert error["extensions"]["code"] == ("GRAPHQL_PARSE_FAILED" if message in {"tokens", "comments"} else BEYOND)
    assert message in error["message"]
    assert validated == [None]


@pytest.mark.parametrize(("document", "code"), HOSTILE.values(), ids=HOSTILE)
def test_no_document_costs_more_than_a_look_at_it(
    shared_play: Play, validated: list[Any], document: str, code: str
) -> None:
    assert shared_play.nobody.error_code(document) == code
    assert None not in validated


@pytest.mark.parametrize("levels", [10, 100, 1000])
def test_each_fragment_is_measured_once_however_often_it_is_spread(levels: int) -> None:
    survey = Survey(parse(exponential(levels)))
    with pytest.raises(LimitExceeded):
        survey.check(STANDARD)
    assert survey.visited <= 8 * (levels + 2)


def test_fragments_that_spread_each_other_are_measured_by_nobody() -> None:
    survey = Survey(parse(exponential(1000).replace("__typename", "...F0")))
    survey.check(STANDARD)
    assert survey.visited <= 6 * 1002


def test_a_thousand_fragments_in_each_other_are_no_more_than_that() -> None:
    chain = many(1000, "fragment F# on Query { ...G# } fragment G# on Query { ...F#x }").replace("F0x", "F1")
    Survey(parse(f"{{ ...F0 }} {chain}")).check(STANDARD)


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_within_the_limits(shared_play: Play, document: Path) -> None:
    variables = json.loads(document.with_suffix(".json").read_text())
    answer = shared_play.member.execute(document.read_text(), **variables)
    assert BEYOND not in [error["extensions"]["code"] for error in answer.get("errors", ())]


def test_so_is_the_question_for_the_schema_with_all_that_it_can_ask(shared_play: Play) -> None:
    everything = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        one_of=True,
    )
    answer = shared_play.nobody.execute(everything)
    assert "errors" not in answer
    assert answer["extensions"]["cost"]["requested"] < 40_000


def test_an_answer_names_fewer_than_ten_errors(shared_play: Play) -> None:
    # That of a document that is not valid; and that of one whose fields fail.
    answer = shared_play.nobody.execute("{ viewer { " + many(30, "nothing#") + " } }")
    assert len(answer["errors"]) == 9
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}
    failing = many(12, "a#: usage(days: 91) { date }")
    shared_play.generate("failing")
    answer = shared_play.member.execute(f"{{ credentials {{ nodes {{ {failing} }} }} }}")
    assert len(answer["errors"]) < 10


def test_limits_are_settings(theatre: Theatre) -> None:
    document = "{ viewer { a: role b: role user { account { name } } } }"
    for setting, most in [("aliases", 1), ("depth", 3), ("cost", 14)]:
        with theatre.new(**{f"graphql_{setting}": most}) as play:
            assert play.member.error_code(document) == BEYOND
        with theatre.new(**{f"graphql_{setting}": most + 1}) as play:
            assert "errors" not in play.member.execute(document)
    assert Settings().graphql_limits == STANDARD


def test_documents_that_are_kept_ready_are_small_and_few() -> None:
    """So that nobody fills the memory with them: an executor of one's own, since who asks can't tell."""
    executor = build_api().executor
    for number in range(300):
        executor.prepare(f"query Small{number} {{ __typename }}")
    assert [executor.is_ready(f"query Small{number} {{ __typename }}") for number in (43, 44, 299)] == [
        False,
        True,
        True,
    ]
    large = [f"query Large{number} {{ __typename {' ' * 16_000} }}" for number in range(10)]
    for text in large:
        executor.prepare(text)
    assert [executor.is_ready(text) for text in large] == [False, False, *[True] * 8]
    assert not executor.is_ready("query Small299 { __typename }")
