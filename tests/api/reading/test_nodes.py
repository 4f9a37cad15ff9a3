"""Anything by its id: the same thing that the lists show, or null."""

from typing import Any

import pytest

from models.ids import Kind, global_id, new_id
from tests.plugins.play import Theatre
from tests.support import bulk
from tests.support.lists import TYPES, Listing
from tests.support.rows import row_id
from tests.support.server import START, Client
from tests.support.world import Play

NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
NOBODYS = new_id(START)

# All that there is to read of each, but for the lists in it.
FIELDS = {
    "accounts": """name status createdAt policy {
        maxActiveCredentialsPerUser defaultExpiryMonths neverExpiresAllowed allowedDeliveryMethods minimumRsaKeyBits
    }""",
    "users": "email displayName role status apiAccess account { id name } createdAt",
    "identities": "name kind status validUntil account { id name } createdAt",
    "services": "name code status startsAt expiresAt account { id name } createdAt",
    "credentials": """
        name maskedApiKey status usable blockers deliveryMethod publicKeyFingerprint createdAt expiresAt revokedAt
        revocationReason lastUsedAt account { id name } owner { id email account { id } }
        identity { id name account { id } } service { id name account { id } }
    """,
    "auditEvents": "sequence type occurredAt actor { id account { id } } subjectId sourceIp summary hash",
}


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    play = theatre.shared()
    for account in (play.alder, play.birch):
        bulk.credentials(play, account, bulk.times(1))
        revoked = {"revoked_at": START, "revocation_reason": "KEY_COMPROMISE"}
        key = {"delivery_method": "ENCRYPTED_FILE", "public_key_fingerprint": "0" * 64}
        bulk.credentials(play, account, [{**revoked, **key, "last_used_at": START, "expires_at": START}])
        bulk.audit_events(play, account, [{"actor_id": row_id(account.users["member"]), "source_ip": "::1"}])
    return play


def one_of_each(play: Play, account_id: str) -> dict[str, str]:
    """An id of each type in an account, by the type's name."""
    lists = {type_: Listing(play.operator, field) for field, type_ in TYPES.items()}
    found = {
        type_: listing.having(accountId=account_id).page(last=1).ids[0]
        for type_, listing in lists.items()
        if type_ != "Account"
    }
    return {**found, "Account": account_id}


def nodes(client: Client, ids: list[str]) -> Any:
    return client.data(NODES, ids=ids)


@pytest.mark.parametrize("type_", TYPES.values())
def test_a_node_is_found_by_its_id_and_is_of_its_type(full: Play, type_: str) -> None:
    id_ = one_of_each(full, full.alder.id)[type_]
    for viewer in (full.operator, full.administrator, full.auditor):
        assert viewer.data(NODE, id=id_) == {"__typename": type_, "id": id_}
        assert nodes(viewer, [id_]) == [{"__typename": type_, "id": id_}]


@pytest.mark.parametrize("field", TYPES)
def test_a_node_is_what_its_list_shows(full: Play, field: str) -> None:
    arguments = {"filter": {"statuses": ["ACTIVE", "EXPIRED", "REVOKED"]}} if field == "credentials" else {}
    fields = f"__typename id {FIELDS[field]}"
    answer = Listing(full.operator, field, arguments=arguments).answer(f"nodes {{ {fields} }}", first=100)
    listed = answer["data"][field]["nodes"]
    assert len(listed) > 1
    document = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {TYPES[field]} {{ {fields} }} }} }}"
    assert full.operator.data(document, ids=[node["id"] for node in listed]) == listed


@pytest.mark.parametrize("type_", TYPES.values())
def test_another_accounts_node_is_null_like_one_that_does_not_exist(full: Play, type_: str) -> None:
    theirs = one_of_each(full, full.birch.id)[type_]
    missing = global_id(Kind(theirs.partition("_")[0]), NOBODYS)
    for viewer in (full.administrator, full.auditor, full.member):
        answer = viewer.execute(NODE, id=theirs)
        assert answer == viewer.execute(NODE, id=missing) == {"data": {"node": None}}
        assert nodes(viewer, [theirs, missing]) == [None, None]
    assert nodes(full.operator, [theirs, missing]) == [{"__typename": type_, "id": theirs}, None]


@pytest.mark.parametrize(
    ("viewer", "types"),
    [
        ("member", {"Account", "Identity", "Service", "Credential"}),
        ("member_without_access", {"Account"}),
        ("auditor", set(TYPES.values())),
        ("administrator", set(TYPES.values())),
    ],
)
def test_what_may_not_be_read_in_a_list_is_no_node_either(full: Play, viewer: str, types: set[str]) -> None:
    ids = one_of_each(full, full.alder.id)
    found = nodes(getattr(full, viewer), list(ids.values()))
    assert {node["__typename"] for node in found if node} == types


@pytest.mark.parametrize("viewer", ["operator", "administrator", "member", "member_without_access", "auditor"])
def test_everybody_is_a_node_to_themselves(full: Play, viewer: str) -> None:
    client: Client = getattr(full, viewer)
    id_ = client.data("{ viewer { user { id } } }")["user"]["id"]
    assert client.data(NODE, id=id_) == {"__typename": "User", "id": id_}


GARBAGE = [
    "",
    "\0",
    "1",
    "cred",
    "cred_",
    "cred_\0",
    "cred_" + "0" * 31,
    "cred_" + "0" * 33,
    "cred_" + "G" * 32,
    "user_00000000-0000-0000-0000-000000000000",
    "card_" + "0" * 32,
    "' OR 1=1 --",
    "日本",
    "a" * 100_000,
    "Y3JlZDox",
]


@pytest.mark.parametrize("viewer", ["operator", "administrator", "member_without_access"])
def test_what_is_no_id_is_null(full: Play, viewer: str) -> None:
    client: Client = getattr(full, viewer)
    assert nodes(client, GARBAGE) == [None] * len(GARBAGE)
    for id_ in GARBAGE[:5]:
        assert client.data(NODE, id=id_) is None


def test_a_number_is_no_id(full: Play) -> None:
    assert full.operator.data("{ node(id: 1) { id } }") is None


def test_an_id_under_another_prefix_is_null(full: Play) -> None:
    ids = one_of_each(full, full.alder.id).values()
    swapped = [f"{kind}_{id_.partition('_')[2]}" for id_ in ids for kind in Kind if not id_.startswith(kind)]
    # A chain of events has its account's id, but is no node.
    assert nodes(full.operator, swapped) == [None] * len(swapped)


def test_nodes_come_in_the_order_asked_each_time_asked(full: Play) -> None:
    of_alder, of_birch = (list(one_of_each(full, account.id).values()) for account in (full.alder, full.birch))
    missing = global_id(Kind.SERVICE, NOBODYS)
    asked = [of_alder[4], missing, of_alder[0], of_birch[2], of_alder[4], "garbage", *of_alder[::-1], missing]
    found = [node and node["id"] for node in nodes(full.administrator, asked)]
    assert found == [id_ if id_ in of_alder else None for id_ in asked]
    assert nodes(full.administrator, []) == []


def test_a_hundred_nodes_are_served_and_no_more(full: Play) -> None:
    id_ = full.alder.services["certificates"]
    assert [node["id"] for node in nodes(full.member, [id_] * 100)] == [id_] * 100
    for number in (101, 10_000):
        answer = full.member.execute(NODES, ids=[id_] * number)
        (error,) = answer["errors"]
        assert answer["data"] is None
        assert (error["extensions"]["code"], error["message"]) == (
            "BAD_USER_INPUT",
            "At most 100 ids at once, please.",
        )


def test_nodes_of_nobody_are_refused_whatever_is_asked(full: Play) -> None:
    for ids in ([], ["garbage"], [full.alder.id], ["garbage"] * 101):
        assert full.nobody.error_code(NODES, ids=ids) == "UNAUTHENTICATED"
    assert full.nobody.error_code(NODE, id="garbage") == "UNAUTHENTICATED"


def test_a_revoked_credential_is_still_a_node(full: Play) -> None:
    revoked = Listing(full.member, "credentials").having(statuses=["REVOKED"]).page(first=1).ids[0]
    document = "query ($id: ID!) { node(id: $id) { ... on Credential { status revokedAt revocationReason } } }"
    assert full.member.data(document, id=revoked) == {
        "status": "REVOKED",
        "revokedAt": "2026-01-15T12:00:00Z",
        "revocationReason": "KEY_COMPROMISE",
    }
