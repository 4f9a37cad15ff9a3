"""Every field of the API, for every kind of caller, is answered as matrix.txt says."""

import pytest

from tests.access.api import Field, all_fields
from tests.access.matrix import read_matrix
from tests.access.outcomes import ALLOW, DENIED, ask, outcome
from tests.access.rehearsal import rehearsed
from tests.access.stage import Stage
from tests.access.tables import Tables, changes

FIELDS = all_fields()
MATRIX = read_matrix()
MUTATIONS = [field for field in FIELDS if field.is_mutation and str(field) in MATRIX]


def test_each_field_of_the_schema_has_a_row_and_each_row_a_field() -> None:
    assert sorted(MATRIX) == sorted(map(str, FIELDS))


@pytest.mark.parametrize("field", [field for field in FIELDS if not field.is_mutation], ids=str)
def test_each_caller_reads_what_the_matrix_says_and_no_more(stage: Stage, field: Field) -> None:
    answered = {column: outcome(ask(stage, client, field)) for column, client in stage.clients.items()}

    assert answered == MATRIX[str(field)].cells


@pytest.mark.parametrize("field", MUTATIONS, ids=str)
def test_each_caller_does_what_the_matrix_allows(stage: Stage, field: Field) -> None:
    allowed = MATRIX[str(field)].allowed
    answered = {}
    for column in allowed:
        client, given = rehearsed(stage, field, column)
        answered[column] = outcome(ask(stage, client, field, given))

    assert answered == dict.fromkeys(allowed, ALLOW)


@pytest.mark.parametrize("field", MUTATIONS, ids=str)
def test_a_denied_mutation_changes_nothing_and_is_recorded_once(stage: Stage, tables: Tables, field: Field) -> None:
    for column, expected in MATRIX[str(field)].cells.items():
        if expected == ALLOW:
            continue
        assert expected in DENIED
        before = tables.dump()
        answer = ask(stage, stage.clients[column], field)
        changed = changes(before, tables.dump())

        assert (column, outcome(answer)) == (column, expected)
        if expected == "UNAUTHENTICATED":
            assert changed == {}
            continue
        assert set(changed) == {"audit_events", "audit_chains"}
        (gone, (event,)) = changed["audit_events"]
        assert gone == []
        assert event["type"] == "access.denied"
        assert event["summary"].startswith(f"{field.name} was denied: ")
        assert event["chain_id"] == stage.chain_of(column)
        assert event["actor_id"] == stage.actor_of(column)
        ((old_head,), (new_head,)) = changed["audit_chains"]
        assert new_head == {
            "id": old_head["id"],
            "sequence": str(int(old_head["sequence"]) + 1),
            "hash": event["hash"],
        }
