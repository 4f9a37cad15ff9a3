"""The audit log's forms are documented as they are."""

import re
from base64 import b64encode
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from auth.crypto.keyring import SymmetricKey
from auth.crypto.merkle_tree import MerkleTree
from models.audit import AuditEvent
from models.audit_log import EventRow
from resolvers.audit import event_hash
from resolvers.audit_export import COLUMNS
from resolvers.audit_hash import EventHasher
from resolvers.audit_verification import FaultKind
from tests.docs.markdown import blocks, in_code, page, rows, section

AUDIT = page("docs/audit.md")
CHAIN = section(AUDIT, "## The chain")
KEY = SymmetricKey("any", bytes(range(32)))


def event(version: int) -> AuditEvent:
    fields = SimpleNamespace(
        id=UUID(int=1),
        chain_id=UUID(int=2),
        sequence=3,
        type="credential.viewed",
        occurred_at=datetime(2026, 1, 15, 12, 0, 0, 125000, tzinfo=UTC),
        actor_id=UUID(int=4),
        subject_id=None,
        source_ip="127.0.0.1",
        summary="A summary, and é",
        hashing_key_id=KEY.id,
        hash_version=version,
    )
    return cast(AuditEvent, fields)


@pytest.mark.parametrize(("version", "left_out"), [(2, set()), (1, {"id", "hashing_key_id"})])
def test_an_event_is_hashed_over_what_is_listed(version: int, left_out: set[str]) -> None:
    listed = re.findall(r"^\d+\. `(\w+)`", CHAIN, re.MULTILINE)
    assert {*listed, "hash", "hash_version"} == {*EventRow._fields, "chain_id"}
    (domain,) = [text for text in in_code(CHAIN) if text == f"sealkey audit event v{version}"]
    values = [getattr(event(version), name) for name in listed if name not in left_out]
    texts = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    parts = [b"\x01" + b"previous", *(b"\0" if text is None else b"\x01" + str(text).encode() for text in texts)]
    assert event_hash(EventHasher({KEY.id: KEY}), event(version), "previous") == KEY.mac(domain, *parts)


def test_the_root_is_computed_as_shown() -> None:
    (shown,) = blocks(section(AUDIT, "## Checkpoints"), "python")
    names: dict[str, Any] = {}
    exec(shown.text, names)
    tree, hashes = MerkleTree(), []
    for number in range(70):
        hashes.append(f"{number:064x}")
        tree.append(bytes.fromhex(hashes[-1]))
        assert names["root"](hashes) == b64encode(tree.root()).decode()


def test_everything_that_can_be_wrong_is_explained() -> None:
    assert [row[0] for row in rows(section(AUDIT, "## Verifying"), "what", "means")] == list(FaultKind)


def test_every_column_of_an_export_is_explained() -> None:
    table = rows(section(AUDIT, "## Exporting"), "column", "what it is")
    assert [in_code(row[0])[0] for row in table] == list(COLUMNS)
