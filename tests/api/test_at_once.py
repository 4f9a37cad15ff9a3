"""Many requests at once: of those that exclude each other one succeeds, and the log has no gap."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from tests.support.rows import row_id
from tests.support.server import Client
from tests.support.world import Play

GENERATE = """mutation ($input: GenerateCredentialInput!) { generateCredential(input: $input) {
    credential { id name } delivery { ... on ViewAndCopyDelivery { apiKey apiSecret } } userErrors { code field }
} }"""
REVOKE = """mutation ($input: RevokeCredentialInput!) { revokeCredential(input: $input) {
    credential { id } userErrors { code field }
} }"""
REVEAL = "mutation ($input: RevealApiKeyInput!) { revealApiKey(input: $input) { apiKey userErrors { code field } } }"
MOVE = """mutation ($input: ReassociateCredentialInput!) { reassociateCredential(input: $input) {
    credential { id } userErrors { code field }
} }"""

Request = tuple[Client, str, dict[str, Any]]


def at_once(requests: Iterable[Request]) -> list[Any]:
    """The payload of each of these mutations, sent all at the same time."""
    return asyncio.run(_at_once(list(requests)))


async def _at_once(requests: list[Request]) -> list[Any]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(verify=False, timeout=60, limits=limits) as http:
        return await asyncio.gather(*(_payload(http, *request) for request in requests))


async def _payload(http: httpx.AsyncClient, client: Client, document: str, input_: dict[str, Any]) -> Any:
    body = {"query": document, "variables": {"input": input_}}
    answer = (await http.post(f"{client.url}/graphql", json=body, headers=client.headers)).json()
    assert "errors" not in answer, answer["errors"]
    (payload,) = answer["data"].values()
    return payload


def outcomes(payloads: list[Any]) -> Counter[str]:
    return Counter(payload["userErrors"][0]["code"] if payload["userErrors"] else "done" for payload in payloads)


def wanted(play: Play, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "serviceId": play.alder.services["certificates"],
        "identityId": play.alder.identities["active"],
        "delivery": {"method": "VIEW_AND_COPY"},
    }


def members(play: Play) -> list[Client]:
    play.rows.set("users", play.alder.users["member_without_access"], "api_access = true")
    return [play.member, play.member_without_access]


def raise_limit(play: Play) -> None:
    play.rows.set("accounts", play.alder.id, "max_active_credentials_per_user = 1000")


def events_of(play: Play, type_: str) -> int:
    """How many events of a type there are, once it is sure that no chain has a gap."""
    chains = play.rows.execute("SELECT id, sequence FROM audit_chains")
    for chain, newest in chains:
        rows = play.rows.execute(f"SELECT sequence FROM audit_events WHERE chain_id = '{chain}' ORDER BY sequence")
        assert [sequence for (sequence,) in rows] == list(range(1, newest + 1))
    ((count,),) = play.rows.execute(f"SELECT count(*) FROM audit_events WHERE type = '{type_}'")
    return int(count)


def test_of_two_hundred_credentials_of_one_name_one_is_generated(play: Play) -> None:
    raise_limit(play)
    clients = members(play)
    payloads = at_once((clients[turn % 2], GENERATE, wanted(play, "ci")) for turn in range(200))
    assert outcomes(payloads) == {"done": 1, "TAKEN": 199}
    assert {tuple(error["field"]) for payload in payloads for error in payload["userErrors"]} == {("name",)}
    assert play.rows.execute("SELECT count(*) FROM credentials") == [(1,)]
    assert events_of(play, "credential.generated") == 1
    (delivery,) = [payload["delivery"] for payload in payloads if payload["delivery"]]
    assert play.nobody.do("login", "scope", **delivery)["scope"] == "certificates"


def places(play: Play, count: int) -> list[dict[str, str]]:
    """Services and identities to generate for that have nothing in common but the account."""
    made = []
    for number in range(count):
        fields = {"accountId": play.alder.id, "name": f"number {number}"}
        identity = play.operator.do("submitIdentity", "identity { id }", kind="DOMAIN", **fields)["identity"]["id"]
        play.operator.do("approveIdentity", "identity { id }", identityId=identity)
        fields |= {"code": f"n{number}"}
        service = play.operator.do("createService", "service { id }", identityIds=[identity], **fields)["service"]["id"]
        made.append({"serviceId": service, "identityId": identity})
    return made


@pytest.mark.parametrize("held", [0, 1])
def test_of_fifty_credentials_asked_for_with_a_limit_of_two_two_are_generated(play: Play, held: int) -> None:
    for turn in range(held):
        play.generate(f"held_{turn}")
    where = places(play, 10)
    payloads = at_once(
        (play.member, GENERATE, {**wanted(play, f"ci_{turn}"), **where[turn % 10]}) for turn in range(50)
    )
    assert outcomes(payloads) == {"done": 2 - held, "LIMIT_REACHED": 48 + held}
    assert play.rows.execute("SELECT count(*) FROM credentials") == [(2,)]
    assert events_of(play, "credential.generated") == 2


def test_of_fifty_revocations_of_one_credential_one_counts(play: Play) -> None:
    credential = play.generate("ci")["credential"]["id"]
    by = [play.member, play.administrator, play.operator]
    payloads = at_once((by[turn % 3], REVOKE, {"credentialId": credential}) for turn in range(50))
    assert outcomes(payloads) == {"done": 1, "ALREADY_REVOKED": 49}
    assert events_of(play, "credential.revoked") == 1


def test_of_moves_to_the_same_place_one_counts(play: Play) -> None:
    credential = play.generate("ci")["credential"]["id"]
    where = {"credentialId": credential, "serviceId": play.alder.services["timestamps"]}
    payloads = at_once((play.member, MOVE, where) for _ in range(20))
    assert outcomes(payloads) == {"done": 1, "CONFLICT": 19}
    assert events_of(play, "credential.reassociated") == 1


def test_what_does_not_exclude_each_other_all_succeeds(play: Play) -> None:
    """By the same people, on the same rows and in the same log, and nobody waits for anybody in a circle."""
    raise_limit(play)
    clients = members(play)
    own = [[play.generate(f"own_{who}_{turn}", client) for turn in range(8)] for who, client in enumerate(clients)]
    requests: list[Request] = []
    for client, generated in zip(clients, own, strict=True):
        ids = [each["credential"]["id"] for each in generated]
        requests += [(client, GENERATE, wanted(play, f"new_{id(client)}_{turn}")) for turn in range(12)]
        requests += [(client, REVEAL, {"credentialId": id_}) for id_ in ids]
        requests += [(client, REVOKE, {"credentialId": id_}) for id_ in ids[:4]]
        where = {"serviceId": play.alder.services["timestamps"]}
        requests += [(client, MOVE, {"credentialId": id_, **where}) for id_ in ids[4:]]
    payloads = at_once(requests)
    assert outcomes(payloads) == {"done": len(requests)}
    assert events_of(play, "credential.generated") == 16 + 24
    assert events_of(play, "credential.viewed") == 16
    assert events_of(play, "credential.revoked") == events_of(play, "credential.reassociated") == 8


@pytest.mark.parametrize("what", ["service", "identity"])
def test_nothing_is_generated_or_moved_to_what_is_suspended_meanwhile(play: Play, what: str) -> None:
    raise_limit(play)
    timestamps, other = play.alder.services["timestamps"], play.alder.identities["other"]
    own = [play.generate(f"own_{turn}")["credential"]["id"] for turn in range(15)]
    where = {"serviceId": timestamps, "identityId": other}
    requests: list[Request] = [(play.member, GENERATE, {**wanted(play, f"ci_{turn}"), **where}) for turn in range(15)]
    requests += [(play.member, MOVE, {"credentialId": id_, **where}) for id_ in own]
    step, suspended = ("suspendService", timestamps) if what == "service" else ("suspendIdentity", other)
    document = f"""mutation ($input: {what.capitalize()}Input!) {{ {step}(input: $input) {{
        {what} {{ id }} userErrors {{ code field }} }} }}"""
    requests.insert(10, (play.operator, document, {f"{what}Id": suspended}))
    payloads = at_once(requests)
    assert outcomes(payloads).keys() <= {"done", f"{what.upper()}_NOT_ACTIVE"}
    chain = row_id(play.alder.id)
    order = play.rows.execute(f"SELECT type FROM audit_events WHERE chain_id = '{chain}' ORDER BY sequence")
    types = [type_ for (type_,) in order]
    after = types[types.index(f"{what}.suspended") + 1 :]
    assert not {"credential.generated", "credential.reassociated"} & set(after)
