"""What a page costs the database: so many statements, however many rows are on it and whatever is shown of them."""

import pytest

from models.ids import Kind
from tests.plugins.play import Theatre
from tests.support import bulk
from tests.support.lists import TYPES, Listing
from tests.support.rows import row_id
from tests.support.statements import statements
from tests.support.world import Play

_ACCOUNT = "account { id name status policy { maxActiveCredentialsPerUser } }"
FIELDS = {
    "accounts": "id name policy { maxActiveCredentialsPerUser }",
    "users": f"id email {_ACCOUNT}",
    "identities": f"id name status {_ACCOUNT}",
    "services": f"id name status {_ACCOUNT}",
    "credentials": f"""id name status usable blockers maskedApiKey {_ACCOUNT} owner {{ id email {_ACCOUNT} }}
        identity {{ id name status {_ACCOUNT} }} service {{ id name status {_ACCOUNT} }}""",
    "auditEvents": f"id sequence summary actor {{ id email {_ACCOUNT} }}",
}


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    """More than a hundred of everything, each credential of another identity, service and owner."""
    play = theatre.shared()
    bulk.accounts(play, bulk.times(120))
    users = bulk.global_ids(Kind.USER, bulk.users(play, play.alder, bulk.times(120)))
    identities = bulk.global_ids(Kind.IDENTITY, bulk.identities(play, play.alder, bulk.times(120)))
    services = bulk.global_ids(Kind.SERVICE, bulk.services(play, play.alder, bulk.times(120)))
    bulk.links(play, services, [play.alder.identities["active"]])
    bulk.links(play, [play.alder.services["certificates"]], identities)
    parties = zip(users, services, identities, strict=True)
    each = [{"owner_id": user, "service_id": service, "identity_id": identity} for user, service, identity in parties]
    bulk.credentials(play, play.alder, each)
    in_one = {"service_id": play.alder.services["certificates"], "identity_id": play.alder.identities["active"]}
    bulk.credentials(play, play.alder, [{"owner_id": user, **in_one} for user in users])
    bulk.audit_events(play, play.alder, [{"actor_id": row_id(user)} for user in users])
    return play


def cost(listing: Listing, selection: str, size: int, **page: object) -> int:
    """The number of statements that a full page of this size takes."""
    with statements() as run:
        answer = listing.answer(selection, first=size, **page)
    found = answer["data"]["node"] if listing.inside else answer["data"]
    assert len(found[listing.field]["nodes"]) == size
    return len(run)


@pytest.mark.parametrize("field", TYPES)
def test_a_page_costs_who_asks_and_the_page(full: Play, field: str) -> None:
    listing = Listing(full.operator, field)
    shown = f"nodes {{ {FIELDS[field]} }}"
    assert cost(listing, shown, 1) == cost(listing, shown, 100) == 2


@pytest.mark.parametrize("field", TYPES)
def test_where_a_page_lies_and_how_many_there_are_costs_one_statement_each(full: Play, field: str) -> None:
    listing = Listing(full.operator, field)
    shown = f"""totalCount pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
        edges {{ cursor node {{ {FIELDS[field]} }} }} nodes {{ {FIELDS[field]} }}"""
    assert cost(listing, shown, 1) == cost(listing, shown, 100) == 3
    after = listing.page(first=1).end
    assert cost(listing, shown, 1, after=after) == cost(listing, shown, 100, after=after) == 4


@pytest.mark.parametrize("viewer", ["administrator", "auditor"])
def test_who_asks_and_in_which_order_makes_no_difference(full: Play, viewer: str) -> None:
    listing = Listing(getattr(full, viewer), "credentials")
    shown = f"nodes {{ {FIELDS['credentials']} }}"
    for order_field in ("CREATED_AT", "NAME", "EXPIRES_AT", "LAST_USED_AT"):
        assert cost(listing.by(order_field, "DESC"), shown, 100) == 2


def test_what_a_filter_names_is_looked_up_once(full: Play) -> None:
    filter_ = {
        "serviceId": full.alder.services["certificates"],
        "identityId": full.alder.identities["active"],
        "statuses": ["ACTIVE", "EXPIRED"],
        "nameContains": "c",
    }
    listing = Listing(full.operator, "credentials").having(**filter_)
    shown = f"nodes {{ {FIELDS['credentials']} }}"
    assert cost(listing, shown, 1) == cost(listing, shown, 100) == 4


@pytest.mark.parametrize(("kind", "field"), [("identities", "services"), ("services", "identities")])
def test_a_page_inside_something_costs_the_same_however_long(full: Play, kind: str, field: str) -> None:
    inside = full.alder.identities["active"] if kind == "identities" else full.alder.services["certificates"]
    for listed in (field, "credentials"):
        listing = Listing(full.operator, listed, inside)
        shown = f"totalCount nodes {{ {FIELDS[listed]} }}"
        assert cost(listing, shown, 1) == cost(listing, shown, 100) <= 5


def test_a_hundred_nodes_cost_a_statement_for_each_type(full: Play) -> None:
    ids = [id_ for field in TYPES for id_ in Listing(full.operator, field).page(first=16).ids]
    document = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ id ... on Credential {{ {FIELDS['credentials']} }} }} }}"
    assert len(ids) == 96
    with statements() as run:
        assert [node["id"] for node in full.operator.data(document, ids=ids)] == ids
    assert len(run) == 1 + len(TYPES)


def test_statements_are_counted(full: Play) -> None:
    """Else all of the above would be equal to nothing."""
    with statements() as run:
        full.member.data("{ viewer { role } }")
        full.nobody.execute("{ viewer { role } }")
    (statement,) = run
    assert "sessions" in statement
