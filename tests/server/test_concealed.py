"""Whatever holds a secret shows nothing of it when it is written: a search through all that the rooms define."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

from auth.crypto.secret import Secret
from schema.api import build_api

MARK = "m4rk"
# Fields of these names hold secrets, or what was sent as it was sent, unless they are named below.
SECRET = re.compile(r"secret|password|token$|private|idempotency|signing|^shown$|^key$|variables|query$|authorization")
# Yes or no; a row, whose text is its id; ids of keys; keys that say their ids alone; a keyed hash; an object; a public
# key.
PUBLIC = {
    *("is_token", "Gateway.token", "Claims.signing_key_id", "Keyring.signing_keys", "KeptHash.secret_hash"),
    *("Retry.key", "NoteVerifier.key"),
}


def holders() -> Iterator[tuple[type, list[str], list[str]]]:
    """Records of the rooms that have fields for secrets: all their fields, and those."""
    build_api()
    for room in ("auth", "models", "resolvers", "schema", "server"):
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            for name, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if found.__module__ == module.name and (fields := fields_of(found)):
                    secret = [each for each in fields if SECRET.search(each) and not {each, f"{name}.{each}"} & PUBLIC]
                    if secret:
                        yield found, fields, secret


def fields_of(found: type) -> list[str]:
    if dataclasses.is_dataclass(found):
        return [field.name for field in dataclasses.fields(found)]
    return list(getattr(found, "_fields", ()))


HOLDERS = {found.__qualname__: (found, fields, secret) for found, fields, secret in holders()}


def test_there_are_some() -> None:
    assert {"SignInInput", "GraphQLRequest", "SymmetricKey", "ViewAndCopyDelivery", "_Asked"} <= set(HOLDERS)


@pytest.mark.parametrize("name", HOLDERS)
def test_it_shows_nothing_of_its_secret(name: str) -> None:
    found, fields, secret = HOLDERS[name]
    values = {field: holding(found, field) if field in secret else "x" for field in fields}
    record = record_of(found, values)
    assert MARK not in f"{record!r} {record!s}"


def record_of(found: Any, values: dict[str, object]) -> object:
    """One made past whatever it takes to make one."""
    if issubclass(found, tuple):
        return found(*values.values())
    record = object.__new__(found)
    for field, value in values.items():
        object.__setattr__(record, field, value)
    return record


def holding(found: type, field: str) -> object:
    """What such a field holds: a Secret where it is of that type, else the text itself."""
    annotation = str(inspect.get_annotations(found).get(field))
    return Secret(MARK) if "Secret" in annotation else {MARK: MARK} if "dict" in annotation else MARK
