"""What belongs to another account does not exist: whatever is asked with its id is answered, and looked up, as if
there were no such thing."""

from typing import Any

import httpx
import pytest

from tests.access.api import all_fields
from tests.access.foreign import Place, all_places, not_such, not_there, not_yours
from tests.access.matrix import read_matrix
from tests.access.outcomes import NOTHING, ask, outcome
from tests.access.stage import COLUMNS, Stage
from tests.access.tables import Tables, changes
from tests.support.statements import statements

MATRIX = read_matrix()
PLACES = [place for place in all_places() if str(place.field) in MATRIX]
OF_THE_ACCOUNT = [column for column in COLUMNS if column not in {"operator", "gateway-all", "nobody"}]


def callers_of(place: Place) -> list[str]:
    """Who may use the field at all, on their own account."""
    return [column for column in MATRIX[str(place.field)].allowed if column in OF_THE_ACCOUNT]


PLACES_IN_USE = [place for place in PLACES if callers_of(place)]
PLACES_BESIDE_OTHERS = [
    place for place in PLACES if not place.is_alone and "operator" in MATRIX[str(place.field)].allowed
]


@pytest.mark.parametrize("place", PLACES_IN_USE, ids=str)
def test_ids_of_another_account_of_another_type_and_of_nothing_are_answered_alike(
    stage: Stage, tables: Tables, place: Place
) -> None:
    before = tables.dump()
    # How an id is read does not depend on who sends it: every strange one is sent by one caller.
    strange = not_such(stage, place)
    for column in callers_of(place):
        missing = _ask(stage, column, place, not_there(stage, place))
        _assert_says_that_there_is_nothing(missing, place)
        for id_ in [*not_yours(stage, place, column), *strange]:
            assert (column, id_, _ask(stage, column, place, id_).content) == (column, id_, missing.content)
        strange = [strange[0], strange[-1]]
    assert changes(before, tables.dump()) == {}


@pytest.mark.parametrize("place", [place for place in PLACES if place.is_first], ids=str)
def test_who_may_not_use_a_field_learns_nothing_from_an_id_either(stage: Stage, place: Place) -> None:
    row = MATRIX[str(place.field)]
    for column in {*OF_THE_ACCOUNT, "gateway-all", "nobody"} - set(row.allowed):
        mine, theirs = (_ask(stage, column, place, of.ids[place.type]) for of in (stage.mine, stage.theirs))
        assert outcome(mine) == row.cells[column]
        assert theirs.content == mine.content


@pytest.mark.parametrize("place", PLACES_IN_USE, ids=str)
def test_what_is_not_yours_is_looked_up_as_what_is_not_there(stage: Stage, place: Place) -> None:
    for column in callers_of(place):
        with statements() as for_nothing:
            _ask(stage, column, place, not_there(stage, place))
        assert for_nothing
        for id_ in not_yours(stage, place, column):
            with statements() as for_others:
                _ask(stage, column, place, id_)
            assert (column, for_others) == (column, for_nothing)


@pytest.mark.parametrize("place", PLACES_BESIDE_OTHERS, ids=str)
def test_an_operator_can_not_bring_two_accounts_together(stage: Stage, tables: Tables, place: Place) -> None:
    before = tables.dump()
    answer = _ask(stage, "operator", place, stage.theirs.ids[place.type])
    assert outcome(answer) == "NOT_FOUND"
    assert changes(before, tables.dump()) == {}


def test_a_gateway_is_answered_for_another_account_s_credential_as_for_a_wrong_secret(stage: Stage) -> None:
    field = next(field for field in all_fields() if field.name == "verifyCredential")
    wrong = {**stage.theirs.keys, "apiSecret": stage.mine.keys["apiSecret"]}
    with statements() as for_wrong:
        refused = ask(stage, stage.clients["gateway"], field, {"input": wrong})
    with statements() as for_theirs:
        theirs = ask(stage, stage.clients["gateway"], field, {"input": stage.theirs.keys})

    assert refused.json()["data"]["verifyCredential"]["code"] == "INVALID_CREDENTIALS"
    assert theirs.content == refused.content
    assert for_theirs == for_wrong
    of_all = ask(stage, stage.clients["gateway-all"], field, {"input": stage.theirs.keys})
    assert of_all.json()["data"]["verifyCredential"]["code"] == "OK"


@pytest.mark.parametrize("root", ["users", "identities", "services", "credentials", "auditEvents", "accessTokens"])
@pytest.mark.parametrize("side", ["after", "before"])
def test_a_cursor_of_another_account_s_list_leads_nowhere_in_it(stage: Stage, root: str, side: str) -> None:
    theirs = stage.play.other_administrator.data(f"{{ {root} {{ edges {{ cursor node {{ id }} }} }} }}")["edges"]
    assert theirs
    asked = f"query ($cursor: String) {{ {root}({side}: $cursor) {{ nodes {{ id }} pageInfo {{ hasNextPage }} }} }}"
    for edge in (theirs[0], theirs[-1]):
        page = stage.clients["administrator"].data(asked, cursor=edge["cursor"])
        assert {node["id"] for node in page["nodes"]} & {edge["node"]["id"] for edge in theirs} == set()


def _ask(stage: Stage, column: str, place: Place, id_: str) -> httpx.Response:
    return ask(stage, stage.clients[column], place.field, place.filled(stage, id_))


def _assert_says_that_there_is_nothing(answer: httpx.Response, place: Place) -> None:
    if place.field.of:
        assert outcome(answer) == NOTHING
        return
    assert outcome(answer) == "NOT_FOUND"
    body: dict[str, Any] = answer.json()
    if place.field.is_mutation:
        (payload,) = body["data"].values()
        (refusal,) = payload.pop("userErrors")
        assert refusal["field"] == list(place.path[1:])
        assert set(payload.values()) <= {None}
