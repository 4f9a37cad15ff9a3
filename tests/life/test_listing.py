"""Lists of credentials: by status, by end, by last use, page by page."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from tests.life.scene import Scene, instant

STATUSES = ["ACTIVE", "RETIRING", "EXPIRED", "REVOKED"]
LIST = """query (
    $filter: CredentialFilter, $orderBy: CredentialOrder, $first: Int, $after: String, $last: Int, $before: String
) {
    credentials(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
        nodes { id name status expiresAt lastUsedAt }
        totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}"""
A_DAY = timedelta(days=1)
FIELDS = ["CREATED_AT", "NAME", "EXPIRES_AT", "LAST_USED_AT"]
FORWARD, BACKWARD = ("first", "after", "hasNextPage", "endCursor"), ("last", "before", "hasPreviousPage", "startCursor")


@pytest.fixture
def many(scene: Scene) -> Scene:
    """Twelve credentials in every status, some of them used."""
    policy = {"maxActiveCredentialsPerUser": 20, "neverExpiresAllowed": True}
    scene.operator.do("updateCredentialPolicy", "account { id }", accountId=scene.alder.id, **policy)
    start = scene.clock()
    for number in range(4):
        soon = scene.generate(f"soon_{number}", expiry={"at": (start + (number + 1) * A_DAY / 4).isoformat()})
        ever = scene.generate(f"ever_{number}", expiry={"never": True})
        scene.rotate(soon, graceHours=number)
        scene.check(ever if number % 2 else soon)
        scene.clock.advance(minutes=1)
    for revoked in (soon, ever):
        scene.member.do("revokeCredential", "credential { id }", credentialId=revoked["credential"]["id"])
    scene.clock.advance(minutes=30)
    scene.play.server.keep_house()
    return scene


def listed(scene: Scene, **variables: Any) -> Any:
    return scene.operator.data(LIST, **variables)


def pages(scene: Scene, direction: tuple[str, str, str, str], size: int, **variables: Any) -> Iterator[list[Any]]:
    """All pages of a list, and what each says of there being more."""
    count, cursor, more, end = direction
    page: Any = {"pageInfo": {more: True, end: None}}
    while page["pageInfo"][more]:
        page = listed(scene, **variables, **{count: size, cursor: page["pageInfo"][end]})
        yield page["nodes"]


def names(nodes: list[Any]) -> list[str]:
    return [node["name"] for node in nodes]


def test_each_status_is_listed_by_itself_and_with_others(many: Scene) -> None:
    everything = listed(many, filter={"statuses": STATUSES})["nodes"]
    assert {node["status"] for node in everything} == set(STATUSES)
    for some in (some for size in range(5) for some in combinations(STATUSES, size)):
        found = listed(many, filter={"statuses": list(some)})
        assert found["nodes"] == [node for node in everything if node["status"] in some]
        assert found["totalCount"] == len(found["nodes"])


def test_without_a_filter_all_but_the_revoked_are_listed(many: Scene) -> None:
    everything = listed(many, filter={"statuses": STATUSES})["nodes"]
    assert listed(many)["nodes"] == [node for node in everything if node["status"] != "REVOKED"]


def test_what_ends_before_an_instant_ends_before_it(many: Scene) -> None:
    everything = listed(many)["nodes"]
    ends = sorted(instant(node["expiresAt"]) for node in everything if node["expiresAt"])
    assert len(set(ends)) > 4
    for moment in (end + wait for end in set(ends) for wait in (timedelta(0), timedelta(seconds=1))):
        found = listed(many, filter={"expiresBefore": moment.isoformat()})["nodes"]
        assert found == [node for node in everything if node["expiresAt"] and instant(node["expiresAt"]) < moment]


def test_filters_are_joined_by_and(many: Scene) -> None:
    everything = listed(many)["nodes"]
    moment = many.clock() + timedelta(hours=1)
    for statuses in (["RETIRING"], ["RETIRING", "ACTIVE"], ["EXPIRED"]):
        found = listed(many, filter={"statuses": statuses, "expiresBefore": moment.isoformat()})["nodes"]
        assert found == [
            node
            for node in everything
            if node["status"] in statuses and node["expiresAt"] and instant(node["expiresAt"]) < moment
        ]
    assert names(listed(many, filter={"statuses": ["RETIRING"], "expiresBefore": moment.isoformat()})["nodes"])


def test_unused_since_an_instant_are_those_used_before_or_never(many: Scene) -> None:
    everything = listed(many)["nodes"]
    used = sorted({instant(node["lastUsedAt"]) for node in everything if node["lastUsedAt"]})
    assert len(used) > 1
    for moment in (use + wait for use in used for wait in (timedelta(0), timedelta(seconds=1))):
        found = listed(many, filter={"unusedSince": moment.isoformat()})["nodes"]
        assert found == [node for node in everything if not node["lastUsedAt"] or instant(node["lastUsedAt"]) < moment]


@pytest.mark.parametrize("direction", [FORWARD, BACKWARD], ids=["forward", "backward"])
def test_pages_add_up_to_the_list_in_every_order(many: Scene, direction: tuple[str, str, str, str]) -> None:
    orders = [{"field": field, "direction": way} for field in FIELDS for way in ("ASC", "DESC")]
    for order in orders:
        wanted = {"filter": {"statuses": STATUSES}, "orderBy": order}
        whole = names(listed(many, **wanted)["nodes"])
        assert len(whole) == 12
        parts = [names(page) for page in pages(many, direction, 5, **wanted)]
        assert [len(part) for part in parts] == [5, 5, 2]
        in_order = parts if direction is FORWARD else parts[::-1]
        assert [name for part in in_order for name in part] == whole, order


def test_a_page_goes_on_where_it_was_though_credentials_changed_status(many: Scene) -> None:
    retiring = {"filter": {"statuses": ["RETIRING"]}, "orderBy": {"field": "EXPIRES_AT"}}
    first = listed(many, **retiring, first=1)
    gone = first["nodes"][0]
    many.at(instant(gone["expiresAt"]))
    rest = listed(many, **retiring, after=first["pageInfo"]["endCursor"])["nodes"]
    assert rest
    assert gone["id"] not in [node["id"] for node in rest]
    assert rest == listed(many, **retiring)["nodes"]
