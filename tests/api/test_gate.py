"""The one gate, asked by every field: what is written here is made from the schema, so a new field that forgets to
ask is found out."""

from dataclasses import replace

import pytest

from tests.support.operations import Operation, Writer, schema_of
from tests.support.rows import LOG
from tests.support.server import Client
from tests.support.world import Play

FOR_NOBODY = {"signIn", "acceptInvitation", "login"}
FOR_EVERYBODY = FOR_NOBODY | {"signOut"}

VETTING = {"approveIdentity", "rejectIdentity", "suspendIdentity", "reinstateIdentity"}
SERVICES = {
    "createService",
    "renewService",
    "suspendService",
    "resumeService",
    "cancelService",
    "linkIdentityToService",
    "unlinkIdentityFromService",
}
CHECKING = {"verifyCredential", "verifyCredentials"}
OWN_CREDENTIALS = {"generateCredential", "revealApiKey"}
ANY_CREDENTIALS = {"reassociateCredential", "revokeCredential"}
FORBIDDEN = {
    "operator": OWN_CREDENTIALS,
    "administrator": {"createAccount"} | VETTING | SERVICES | CHECKING | OWN_CREDENTIALS,
    "member": {"createAccount", "createUser"} | VETTING | SERVICES | CHECKING,
}
READ_BY_ALL = {"viewer", "node", "nodes", "accounts"}
UNREADABLE = {
    "operator": set[str](),
    "administrator": set[str](),
    "member": {"users", "auditEvents"},
    "member_without_access": {"users", "auditEvents", "identities", "services", "credentials"},
    "auditor": set[str](),
}


@pytest.fixture
def real(play: Play) -> Writer:
    """Writes operations that would do something, were they not refused."""
    delivery = play.generate("real")["delivery"]
    known = {
        "accountId": play.alder.id,
        "userId": play.alder.users["member"],
        "identityId": play.alder.identities["lone"],
        "identityIds": [play.alder.identities["lone"]],
        "serviceId": play.alder.services["certificates"],
        "credentialId": play.rows.execute("SELECT id FROM credentials")[0][0],
        "id": play.alder.id,
        "ids": [play.alder.id],
        "name": "new",
        "displayName": "New",
        "email": "new@alder.example",
        "code": "new",
        **{key: delivery[key] for key in ("apiKey", "apiSecret")},
    }
    known["credentialId"] = "cred_" + str(known["credentialId"]).replace("-", "")
    return Writer(schema_of(play.nobody), known)


def errors_of(operations: list[Operation], client: Client) -> dict[str, list[str]]:
    return {operation.field: operation.errors(client) for operation in operations}


@pytest.mark.parametrize("everything", [True, False], ids=["everything", "only what is required"])
def test_every_field_asks_who_is_there(play: Play, real: Writer, everything: bool) -> None:
    writer = replace(real, known=real.known if everything else {**real.known, "ids": []}, everything=everything)
    operations = [*writer.queries(), *(each for each in writer.mutations() if each.field not in FOR_NOBODY)]
    assert len(operations) >= 30
    with play.rows.unchanged():
        answers = errors_of(operations, play.nobody)
    assert answers == {operation.field: ["UNAUTHENTICATED"] for operation in operations}


@pytest.mark.parametrize("everything", [True, False], ids=["everything", "only what is required"])
def test_an_auditor_changes_nothing(play: Play, real: Writer, everything: bool) -> None:
    writer = replace(real, everything=everything)
    operations = [each for each in writer.mutations() if each.field not in FOR_EVERYBODY]
    assert len(operations) >= 20
    with play.rows.unchanged(without=LOG):
        answers = errors_of(operations, play.auditor)
    assert answers == {operation.field: ["FORBIDDEN"] for operation in operations}


@pytest.mark.parametrize("who", FORBIDDEN)
def test_each_role_may_do_what_the_table_says_and_nothing_else(play: Play, who: str) -> None:
    operations = [each for each in Writer(schema_of(play.nobody), {}).mutations() if each.field not in FOR_EVERYBODY]
    client: Client = getattr(play, who)
    answers = errors_of(operations, client)
    assert {field for field, codes in answers.items() if codes == ["FORBIDDEN"]} == FORBIDDEN[who]
    assert not any("UNAUTHENTICATED" in codes or "INTERNAL_SERVER_ERROR" in codes for codes in answers.values())


def test_a_member_without_api_access_is_told_what_to_ask_an_administrator_for(play: Play) -> None:
    writer = Writer(schema_of(play.nobody), {})
    wanted = OWN_CREDENTIALS | ANY_CREDENTIALS
    operations = [each for each in writer.mutations() if each.field in wanted]
    with play.rows.unchanged():
        answers = errors_of(operations, play.member_without_access)
    assert answers == {field: ["API_ACCESS_REMOVED"] for field in wanted}


@pytest.mark.parametrize("who", UNREADABLE)
def test_each_role_reads_what_the_table_says_and_nothing_else(shared_play: Play, who: str) -> None:
    operations = list(Writer(schema_of(shared_play.nobody), {"id": "nobodys"}).queries())
    client: Client = getattr(shared_play, who)
    answers = errors_of(operations, client)
    refused = UNREADABLE[who]
    assert answers == {each.field: ["FORBIDDEN"] if each.field in refused else [] for each in operations}


def test_what_is_open_to_all_is_written_in_one_place(shared_play: Play) -> None:
    """A field is not opened to nobody by mistake: here is the whole list."""
    writer = Writer(schema_of(shared_play.nobody), {})
    fields = {each.field for each in [*writer.mutations(), *writer.queries()]}
    open_to_nobody = {
        operation.field
        for operation in [*writer.mutations(), *writer.queries()]
        if operation.errors(shared_play.nobody) != ["UNAUTHENTICATED"]
    }
    assert open_to_nobody == FOR_NOBODY
    assert fields >= FOR_EVERYBODY | READ_BY_ALL
