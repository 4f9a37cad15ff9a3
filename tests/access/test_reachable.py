"""Wherever somebody gets to from what is theirs, nothing of another account is to be seen there; nor is, for those who
see only what is their own, anything of their colleagues."""

from collections.abc import Callable, Iterator

import pytest
from graphql import GraphQLOutputType, get_named_type

from auth.crypto.credential_format import mask_api_key
from tests.access.api import Field, Path, all_fields, composites_of, document, node_types, selection_of, variables
from tests.access.matrix import read_matrix
from tests.access.stage import COLUMNS, Stage, row_id
from tests.access.tables import Tables

MATRIX = read_matrix()
OF_THE_ACCOUNT = [column for column in COLUMNS if column not in {"operator", "gateway-all", "nobody"}]
# Whatever answers with what it did not make itself.
ROOTS = [
    field
    for field in all_fields()
    if field.at_root and not field.of and not field.is_subscription
    if not field.is_mutation or field.name.startswith("verify")
]
ROOTS_BY_COLUMN = [
    (column, field) for column in OF_THE_ACCOUNT for field in ROOTS if column in MATRIX[str(field)].allowed
]
# From what is asked for, so many things further; the lists that they come in don't count.
DEPTH = 2

# The columns that say whose it is; events are nobody's.
_PERSONAL = {"credentials": "owner_id", "access_tokens": "user_id", "users": "id", "audit_events": ""}

# Whose ids are no secret, or not shown to anybody.
_TELL_NOTHING = {"server_keys", "sessions", "invitations", "tortoise_migrations", "check_epoch"}

Row = dict[str, str]
IsTheirs = Callable[[str, Row], bool]
"""Whether a row of a table is for somebody to see."""


@pytest.mark.parametrize(("column", "root"), ROOTS_BY_COLUMN, ids=str)
def test_nothing_that_is_not_theirs_can_be_reached(stage: Stage, tables: Tables, column: str, root: Field) -> None:
    hidden = hidden_words(tables, seen_by(stage, column))
    client, given = stage.clients[column], variables(root.definition, stage.value_of)
    reached = 0
    for path in paths_from(root.definition.type, DEPTH + 1):
        answer = client.post(document(root, given, selection_along(root.definition.type, path)), given)
        assert (path, [word for word in hidden if word in answer.text]) == (path, [])
        errors = answer.json().get("errors", ())
        assert {error["extensions"]["code"] for error in errors} <= {"FORBIDDEN"}
        reached += not errors
    assert reached, "this walk went nowhere"


def test_the_words_that_are_looked_for_are_those_of_the_other_account(stage: Stage, tables: Tables) -> None:
    hidden = hidden_words(tables, seen_by(stage, "administrator"))

    theirs = {id_.partition("_")[2] for id_ in stage.theirs.ids.values()}
    assert theirs | {"Birch", "birch active", "birch certificates", "birch_ci", "member@birch.example"} <= hidden
    assert {"operator@provider.example", mask_api_key(stage.theirs.keys["apiKey"])} <= hidden
    answer = stage.operator.post("{ credentials { nodes { name maskedApiKey } } }").text
    assert {word for word in hidden if word in answer} >= {"birch_ci", mask_api_key(stage.theirs.keys["apiKey"])}


def paths_from(type_: GraphQLOutputType, depth: int) -> Iterator[Path]:
    """Every way on from a type that passes no more things than that."""
    yield ()
    is_page = get_named_type(type_).name.endswith("Connection")
    for name, field in composites_of(type_).items():
        left = depth - (get_named_type(field.type).name in node_types())
        if left >= 0 and not (is_page and name != "nodes"):
            yield from ((name, *rest) for rest in paths_from(field.type, left))


def selection_along(type_: GraphQLOutputType, path: Path) -> str:
    """All there is to see at the end of a path."""
    if not path:
        return selection_of(type_, depth=2)
    return f"{{ {path[0]} {selection_along(composites_of(type_)[path[0]].type, path[1:])} }}"


def seen_by(stage: Stage, column: str) -> IsTheirs:
    """What is for the caller of a column to see: all of the account, or what is one person's. A gateway sees what
    there is about the credential that it asks about."""
    account = row_id(stage.mine.ids["Account"])
    sees_all = column in {"administrator", "auditor", "token"}
    person = stage.actor_of("member" if column == "gateway" else column)

    def seen(table: str, row: Row) -> bool:
        if account not in (row["id"], row.get("account_id"), row.get("chain_id")):
            return False
        if sees_all or table not in _PERSONAL:
            return True
        return row.get(_PERSONAL[table], "") == person

    return seen


def hidden_words(tables: Tables, seen: IsTheirs) -> set[str]:
    """What tells of the rows that somebody is not to see: ids, names, addresses and keys."""
    words: dict[bool, set[str]] = {True: set(), False: set()}
    for table, rows in tables.dump().items():
        for row in map(dict, rows):
            if "id" in row and table not in _TELL_NOTHING:
                words[seen(table, row)] |= set(_telling(row))
    return words[False] - words[True]


def _telling(row: Row) -> Iterator[str]:
    yield row["id"].replace("-", "")
    yield from (row[column] for column in ("name", "email", "hash", "secret_hash", "token_hash") if column in row)
    if "api_key" in row:
        yield from (row["api_key"], mask_api_key(row["api_key"]))
