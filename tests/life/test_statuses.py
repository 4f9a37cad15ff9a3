"""A status is the same rule twice: for a row that is at hand, and for the database that looks for rows."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.instants import NEVER
from tests.life.scene import Scene
from tests.support.rows import Rows, row_id
from tests.support.server import START

Row = dict[str, Any]

WAITS = [timedelta(milliseconds=wait) for wait in (-3_600_000, -1000, -1, 0, 1, 1000, 3_600_000)]
ENDS = [*(START + wait for wait in WAITS), NEVER]
STATUSES = {
    "credentials": ["ACTIVE", "RETIRING", "EXPIRED", "REVOKED"],
    "services": ["SCHEDULED", "ACTIVE", "EXPIRED", "SUSPENDED", "CANCELLED"],
    "identities": ["PENDING_VETTING", "ACTIVE", "REJECTED", "SUSPENDED", "EXPIRED"],
}
DECISIONS = ["PENDING_VETTING", "ACTIVE", "REJECTED", "SUSPENDED"]
EITHER = [None, START - timedelta(days=1)]


def credentials(scene: Scene, rows: Rows) -> Iterable[Row]:
    """Revoked or not, rotated or not, and ending at any time."""
    ((key_id,),) = rows.execute("SELECT DISTINCT hashing_key_id FROM audit_events LIMIT 1")
    for number, (revoked, rotated, end) in enumerate(product(EITHER, EITHER, ENDS)):
        yield {
            "id": str(UUID(int=number + 1)),
            "account_id": row_id(scene.alder.id),
            "owner_id": row_id(scene.alder.users["member"]),
            "service_id": row_id(scene.alder.services["certificates"]),
            "identity_id": row_id(scene.alder.identities["active"]),
            "name": f"name_{number}",
            "api_key": f"sealkey_key_{number:016}",
            "secret_hash": "0" * 64,
            "hashing_key_id": key_id,
            "delivery_method": "VIEW_AND_COPY",
            "created_at": START - timedelta(days=2),
            "expires_at": end,
            "revoked_at": revoked,
            "revocation_reason": "UNSPECIFIED" if revoked else None,
            "last_used_at": START - timedelta(days=2),
            "rotated_at": rotated,
        }


def services(scene: Scene, _rows: Rows) -> Iterable[Row]:
    """Suspended or not, cancelled or not, beginning and ending at any time."""
    dates = [(start, end) for start, end in product(ENDS[::2], ENDS) if start < end]
    for number, (suspended, cancelled, (start, end)) in enumerate(product(EITHER, EITHER, dates)):
        yield {
            "id": str(UUID(int=number + 1)),
            "account_id": row_id(scene.alder.id),
            "name": "API",
            "code": f"code_{number}",
            "starts_at": start,
            "expires_at": end,
            "suspended_at": suspended,
            "cancelled_at": cancelled,
            "created_at": START - timedelta(days=2),
        }


def identities(scene: Scene, _rows: Rows) -> Iterable[Row]:
    """Decided in any way, and valid until any time."""
    for number, (decision, end) in enumerate(product(DECISIONS, ENDS)):
        yield {
            "id": str(UUID(int=number + 1)),
            "account_id": row_id(scene.alder.id),
            "name": "Alder Ltd",
            "kind": "ORGANIZATION",
            "decision": decision,
            "valid_until": end,
            "created_at": START - timedelta(days=2),
        }


@pytest.mark.parametrize("things", [credentials, services, identities])
def test_each_row_is_listed_under_the_status_that_it_shows(scene: Scene, things: Any) -> None:
    kind = things.__name__
    rows = Rows(scene.play.server.database_url)
    made = list(things(scene, rows))
    rows.insert(kind, *made)
    nodes = "{ nodes { id status } }"
    lists = " ".join(
        f"{status}: {kind}(first: 100, filter: {{accountId: $account, statuses: [{status}]}}) {nodes}"
        for status in STATUSES[kind]
    )

    # The instants of the rows, just before and after them, and any between.
    @settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(WAITS), st.integers(-2, 2) | st.integers(-7_200_000, 7_200_000))
    def agrees(wait: timedelta, milliseconds: int) -> None:
        scene.at(START + wait + timedelta(milliseconds=milliseconds))
        found = scene.operator.data(f"query ($account: ID!) {{ {lists} }}", account=scene.alder.id)
        assert all(node["status"] == status for status in found for node in found[status]["nodes"])
        ids = [node["id"] for status in found for node in found[status]["nodes"]]
        assert {row_id(id_) for id_ in ids} >= {row["id"] for row in made}
        assert len(ids) == len(set(ids))

    agrees()
