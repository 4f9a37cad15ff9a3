"""How far each reader sees. What belongs to another account is answered as what does not exist."""

from typing import Any

import pytest

from models.ids import Kind, global_id, new_id
from tests.plugins.play import Theatre
from tests.support import bulk
from tests.support.lists import TYPES, Listing
from tests.support.rows import row_id
from tests.support.server import START, Client
from tests.support.world import AccountWorld, Play

NOBODYS = new_id(START)


@pytest.fixture(scope="module")
def full(theatre: Theatre) -> Play:
    """Both accounts have credentials of two members each."""
    play = theatre.shared()
    for account in (play.alder, play.birch):
        bulk.credentials(play, account, bulk.times(2))
        bulk.credentials(play, account, [{"owner_id": account.users["member_without_access"]}] * 2)
        member = row_id(account.users["member"])
        bulk.audit_events(play, account, [{"actor_id": member, "subject_id": account.users["member"]}])
    return play


def owners(play: Play, field: str) -> dict[str, str | None]:
    """Whose each row is: by its global id the account's."""
    table, column = {
        "accounts": ("accounts", "id"),
        "auditEvents": ("audit_events", "chain_id"),
    }.get(field, (field, "account_id"))
    kind = {"users": Kind.USER, "identities": Kind.IDENTITY, "services": Kind.SERVICE, "accounts": Kind.ACCOUNT}.get(
        field, Kind.AUDIT_EVENT if field == "auditEvents" else Kind.CREDENTIAL
    )
    rows = play.rows.execute(f"SELECT id, {column} FROM {table}")
    return {_global(kind, id_): _global(Kind.ACCOUNT, account) if account else None for id_, account in rows}


def _global(kind: Kind, id_: object) -> str:
    return f"{kind}_{str(id_).replace('-', '')}"


@pytest.mark.parametrize("field", TYPES)
def test_an_operator_sees_all_and_narrows_it_to_an_account(full: Play, field: str) -> None:
    by_owner = owners(full, field)
    assert set(Listing(full.operator, field).ids()) == set(by_owner)
    if field == "accounts":
        return
    for account in (full.alder, full.birch):
        wanted = {id_ for id_, owner in by_owner.items() if owner == account.id}
        assert wanted
        assert set(Listing(full.operator, field).having(accountId=account.id).ids()) == wanted


@pytest.mark.parametrize("viewer", ["administrator", "auditor"])
@pytest.mark.parametrize("field", TYPES)
def test_an_administrator_and_an_auditor_see_all_of_their_account_and_nothing_else(
    full: Play, viewer: str, field: str
) -> None:
    wanted = {id_ for id_, owner in owners(full, field).items() if owner == full.alder.id}
    listing = Listing(getattr(full, viewer), field)
    assert wanted
    assert set(listing.ids()) == wanted
    if field != "accounts":
        assert set(listing.having(accountId=full.alder.id).ids()) == wanted


@pytest.mark.parametrize("field", ["accounts", "identities", "services"])
def test_a_member_sees_the_accounts_identities_and_services(full: Play, field: str) -> None:
    wanted = {id_ for id_, owner in owners(full, field).items() if owner == full.alder.id}
    assert set(Listing(full.member, field).ids()) == wanted


def credentials_of(play: Play, *users: str) -> set[str]:
    owned = ", ".join(f"'{row_id(user)}'" for user in users)
    return {
        _global(Kind.CREDENTIAL, id_)
        for (id_,) in play.rows.execute(f"SELECT id FROM credentials WHERE owner_id IN ({owned})")
    }


def test_a_member_sees_their_own_credentials_wherever_they_look(full: Play) -> None:
    own = credentials_of(full, full.alder.users["member"])
    of_account = own | credentials_of(full, full.alder.users["member_without_access"])
    active, certificates = full.alder.identities["active"], full.alder.services["certificates"]
    for inside in (None, active, certificates):
        assert set(Listing(full.member, "credentials", inside).ids()) == own
        assert set(Listing(full.administrator, "credentials", inside).ids()) == of_account
        assert Listing(full.member, "credentials", inside).page(first=1).total == len(own) == 2
    for filter_ in ({"accountId": full.alder.id}, {"serviceId": certificates}, {"identityId": active}):
        assert set(Listing(full.member, "credentials").having(**filter_).ids()) == own


def test_a_member_who_asks_for_a_colleagues_credentials_finds_none(full: Play) -> None:
    colleague = full.alder.users["member_without_access"]
    assert Listing(full.member, "credentials").having(ownerId=colleague).page().total == 0
    assert Listing(full.administrator, "credentials").having(ownerId=colleague).page().total == 2
    (theirs, *_) = credentials_of(full, colleague)
    assert full.member.data("query ($id: ID!) { node(id: $id) { id } }", id=theirs) is None


# By list: what its filters name, and how to come by one of another account's.
NAMING = {
    ("users", "accountId"): lambda account: account.id,
    ("identities", "accountId"): lambda account: account.id,
    ("identities", "serviceId"): lambda account: account.services["certificates"],
    ("services", "accountId"): lambda account: account.id,
    ("services", "identityId"): lambda account: account.identities["active"],
    ("credentials", "accountId"): lambda account: account.id,
    ("credentials", "serviceId"): lambda account: account.services["certificates"],
    ("credentials", "identityId"): lambda account: account.identities["active"],
    ("credentials", "ownerId"): lambda account: account.users["member"],
    ("auditEvents", "accountId"): lambda account: account.id,
    ("auditEvents", "actorId"): lambda account: account.users["member"],
    ("auditEvents", "subjectId"): lambda account: account.users["member"],
}


def of_another(account: AccountWorld, filter_name: str, field: str) -> str:
    id_: str = NAMING[field, filter_name](account)
    return id_


def of_nothing(id_: str) -> list[str]:
    """What names nothing: a missing thing of this kind, one of another kind, and what is no id."""
    kind = Kind(id_.partition("_")[0])
    other_kind = Kind.SERVICE if kind is not Kind.SERVICE else Kind.IDENTITY
    return [
        global_id(kind, NOBODYS),
        global_id(other_kind, NOBODYS),
        id_.upper(),
        f"{id_} ",
        id_[:-1],
        f"{id_}\0",
        "\0",
        "",
        "1",
        "a" * 100_000,
        "日本",
    ]


@pytest.mark.parametrize(("field", "filter_name"), NAMING)
def test_a_filter_that_names_another_accounts_thing_is_answered_as_one_that_names_nothing(
    full: Play, field: str, filter_name: str
) -> None:
    theirs, ours = (of_another(account, filter_name, field) for account in (full.birch, full.alder))
    viewers = [full.administrator, full.auditor]
    if field in {"identities", "services", "credentials"}:
        viewers.append(full.member)
    for viewer in viewers:
        answer = Listing(viewer, field).having(**{filter_name: theirs}).answer()
        assert answer["data"] is None
        (error,) = answer["errors"]
        assert error["extensions"] == {"code": "NOT_FOUND"}
        assert error["message"] == "There is nothing with this id."
        for missing in of_nothing(theirs):
            assert Listing(viewer, field).having(**{filter_name: missing}).answer() == answer, missing
        assert "errors" not in Listing(viewer, field).having(**{filter_name: ours}).answer()


@pytest.mark.parametrize(("field", "filter_name"), NAMING)
def test_an_operator_finds_either_accounts_thing_but_nothing_that_is_not_there(
    full: Play, field: str, filter_name: str
) -> None:
    listing = Listing(full.operator, field)
    for account in (full.alder, full.birch):
        there = of_another(account, filter_name, field)
        assert "errors" not in listing.having(**{filter_name: there}).answer()
        for missing in of_nothing(there)[:3]:
            assert listing.having(**{filter_name: missing}).refusal()[0] == "NOT_FOUND", missing


@pytest.mark.parametrize(("field", "filter_name"), [pair for pair in NAMING if pair[1] != "accountId"])
def test_within_one_account_an_operator_finds_nothing_of_the_other(full: Play, field: str, filter_name: str) -> None:
    theirs = of_another(full.birch, filter_name, field)
    narrowed = Listing(full.operator, field).having(accountId=full.alder.id, **{filter_name: theirs})
    assert narrowed.refusal()[0] == "NOT_FOUND"
    assert (
        "errors" not in Listing(full.operator, field).having(accountId=full.birch.id, **{filter_name: theirs}).answer()
    )


def test_a_thing_of_another_kind_is_not_what_a_filter_names(full: Play) -> None:
    """The same row id under another prefix."""
    service = full.alder.services["certificates"]
    disguised = service.replace("svc", "idty")
    assert Listing(full.operator, "credentials").having(identityId=disguised).refusal()[0] == "NOT_FOUND"
    assert Listing(full.operator, "credentials").having(identityId=service).refusal()[0] == "NOT_FOUND"


def actors(client: Client) -> list[Any]:
    answer = Listing(client, "auditEvents").answer("nodes { type actor { email } summary }", first=100)
    nodes: list[Any] = answer["data"]["auditEvents"]["nodes"]
    return nodes


def test_a_customer_does_not_see_who_of_the_providers_staff_it_was(full: Play) -> None:
    made = [event for event in actors(full.auditor) if event["type"] == "service.created"]
    assert made
    for event in made:
        assert event["actor"] is None
        assert event["summary"].endswith("(by the provider)")
    assert full.operator.data("{ viewer { user { email } } }")["user"]["email"] in {
        event["actor"]["email"] for event in actors(full.operator) if event["actor"]
    }


def test_only_operators_read_what_belongs_to_no_account(full: Play) -> None:
    chain = "SELECT id FROM audit_events WHERE chain_id = '00000000-0000-0000-0000-000000000000'"
    events = [_global(Kind.AUDIT_EVENT, id_) for (id_,) in full.rows.execute(chain)]
    operator = full.operator.data("{ viewer { user { id } } }")["user"]["id"]
    assert events
    assert set(events) <= set(Listing(full.operator, "auditEvents").ids())
    for viewer in (full.administrator, full.auditor):
        assert not set(events) & set(Listing(viewer, "auditEvents").ids())
        assert Listing(viewer, "auditEvents").having(actorId=operator).refusal()[0] == "NOT_FOUND"
        assert viewer.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[*events[:99], operator]) == (
            [None] * (len(events[:99]) + 1)
        )


def test_nobody_who_is_not_signed_in_reads_anything(full: Play) -> None:
    for field in TYPES:
        assert Listing(full.nobody, field).refusal()[0] == "UNAUTHENTICATED"
        assert Listing(full.nobody, field).refusal(first=-1)[0] == "UNAUTHENTICATED"
