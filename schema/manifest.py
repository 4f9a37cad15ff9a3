"""Lists of trusted documents, as the tools that build clients write them.

- Apollo's `generate-persisted-query-manifest`: {"format": "apollo-persisted-query-manifest", "version": 1,
  "operations": [{"id", "name", "type", "body"}]}
- graphql-codegen's client preset (`persisted-documents.json`) and Relay's compiler: {id: text}
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from schema.execution import Executor
from schema.persisted import ids_of

_APOLLO = "apollo-persisted-query-manifest"


class ManifestUnusable(Exception):
    """The list can't be read, or a document on it can't be executed; the message says which, and why."""


def read_manifest(path: Path, executor: Executor) -> dict[str, str]:
    """The texts on a list, by each id that they can be asked for by. The executor has them ready from then on. Raises
    ManifestUnusable and OSError."""
    try:
        documents = list(_documents(orjson.loads(path.read_bytes())))
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise ManifestUnusable(
            f"{path} is no list of documents as Apollo, graphql-codegen or Relay write it."
        ) from error
    found: dict[str, str] = {}
    for document_id, name, text in documents:
        if wrong := executor.trust(text):
            raise ManifestUnusable(f"{path}: {name} can't be executed. {wrong}")
        for each in ids_of(document_id, text):
            if found.setdefault(each, text) != text:
                raise ManifestUnusable(f"{path}: {each} stands for two documents.")
    return found


def _documents(manifest: Any) -> Iterator[tuple[str, str, str]]:
    """Each with its id, and the name that it is told of by. Raises TypeError and KeyError where the form is another."""
    if not isinstance(manifest, dict):
        raise TypeError("no object")
    if manifest.get("format") == _APOLLO:
        if manifest["version"] != 1:
            raise TypeError("of a later version")
        for each in manifest["operations"]:
            yield _text(each["id"]), _text(each["name"]), _text(each["body"])
    else:
        for document_id, text in manifest.items():
            yield document_id, document_id, _text(text)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
