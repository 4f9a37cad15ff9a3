"""Many at once come to what one after the other could have come to, whichever was first."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.life.scene import Scene
from tests.support.rows import Rows
from tests.support.server import Client

TURNS = 5
DELIVERY = {"method": "VIEW_AND_COPY"}
ALL = """{ credentials(first: 100, filter: {statuses: [ACTIVE, RETIRING, EXPIRED, REVOKED]}) { nodes {
    id name status predecessor { id } successor { id }
} } }"""

Call = tuple[Client, str, dict[str, Any] | None]
"""Who calls which mutation, and its input, if it has one."""


def at_once(*calls: Call) -> list[list[str]]:
    """The codes of the user errors of mutations that are all on their way before the first is answered."""
    return asyncio.run(_at_once(calls))


async def _at_once(calls: Sequence[Call]) -> list[list[str]]:
    limits = httpx.Limits(max_connections=len(calls))
    async with httpx.AsyncClient(timeout=60, limits=limits) as connections:
        answers = await asyncio.gather(*(_send(connections, *call) for call in calls))
    return [_codes(answer) for answer in answers]


async def _send(connections: httpx.AsyncClient, client: Client, verb: str, given: dict[str, Any] | None) -> Any:
    input_type = {"removeApiAccess": "UserInput", "deactivateUser": "UserInput", "suspendAccount": "AccountInput"}
    type_ = input_type.get(verb, f"{verb[0].upper()}{verb[1:]}Input")
    document = f"mutation ($input: {type_}!) {{ {verb}(input: $input) {{ userErrors {{ code }} }} }}"
    if given is None:
        document = f"mutation {{ {verb} {{ userErrors {{ code }} }} }}"
    body = {"query": document, "variables": {"input": given}}
    response = await connections.post(f"{client.url}/graphql", json=body, headers=client.headers)
    return response.json()


def _codes(answer: Any) -> list[str]:
    """Of an answer that has no errors but a denial: a deadlock would be one."""
    if errors := answer.get("errors"):
        codes = [error["extensions"]["code"] for error in errors]
        assert codes == ["UNAUTHENTICATED"], answer
        return codes
    (payload,) = answer["data"].values()
    return [error["code"] for error in payload["userErrors"]]


def generating(scene: Scene, name: str, **fields: Any) -> Call:
    parties = {"serviceId": scene.alder.services["certificates"], "identityId": scene.alder.identities["active"]}
    return scene.member, "generateCredential", {"name": name, "delivery": DELIVERY, **parties, **fields}


def rotating(scene: Scene, credential_id: str, **fields: Any) -> Call:
    return scene.member, "rotateCredential", {"credentialId": credential_id, "delivery": DELIVERY, **fields}


def revoking(scene: Scene, credential_id: str, *, lineage: bool = False) -> Call:
    return scene.play.administrator, "revokeCredential", {"credentialId": credential_id, "lineage": lineage}


def everything(scene: Scene) -> dict[str, Any]:
    """Every credential of the account, by its id."""
    return {node["id"]: node for node in scene.play.administrator.data(ALL)["nodes"]}


def revoke_all(scene: Scene) -> None:
    for id_, node in everything(scene).items():
        if node["status"] != "REVOKED":
            scene.play.administrator.do("revokeCredential", "credential { id }", credentialId=id_)


def logged(scene: Scene, *types: str) -> list[str]:
    """The types of the account's events of these types at this instant, in the order of the log."""
    document = """query ($account: ID!, $types: [String!]!, $now: DateTime!) {
        auditEvents(last: 100, filter: {accountId: $account, types: $types, after: $now}) { nodes { type sequence } }
    }"""
    now = scene.clock().isoformat()
    nodes = scene.operator.data(document, account=scene.alder.id, types=types, now=now)["nodes"]
    return [node["type"] for node in sorted(nodes, key=lambda node: int(node["sequence"]))]


def assert_gapless(scene: Scene) -> None:
    """Whatever was at once, the events of an account are one after the other."""
    rows = Rows(scene.play.server.database_url)
    for (chain_id,) in rows.execute("SELECT id FROM audit_chains"):
        found = rows.execute(f"SELECT sequence FROM audit_events WHERE chain_id = '{chain_id}' ORDER BY sequence")
        sequences = [sequence for (sequence,) in found]
        assert sequences == list(range(1, len(sequences) + 1))
        (head,) = rows.execute(f"SELECT sequence FROM audit_chains WHERE id = '{chain_id}'")
        assert head == (len(sequences),)


def test_of_fifty_that_generate_at_once_two_get_the_two_places(scene: Scene) -> None:
    for turn in range(TURNS):
        outcomes = at_once(*(generating(scene, f"turn_{turn}_{number}") for number in range(50)))
        assert Counter(map(tuple, outcomes)) == {(): 2, ("LIMIT_REACHED",): 48}
        living = [node for node in everything(scene).values() if node["status"] != "REVOKED"]
        assert [node["status"] for node in living] == ["ACTIVE", "ACTIVE"]
        revoke_all(scene)
    assert_gapless(scene)


def test_of_fifty_that_want_one_name_one_gets_it(scene: Scene) -> None:
    scene.operator.do(
        "updateCredentialPolicy", "account { id }", accountId=scene.alder.id, maxActiveCredentialsPerUser=100
    )
    scene.operator.do("grantApiAccess", "user { id }", userId=scene.alder.users["member_without_access"])
    for turn in range(TURNS):
        one, other = generating(scene, f"turn_{turn}"), generating(scene, f"turn_{turn}")
        other = (scene.play.member_without_access, *other[1:])
        outcomes = at_once(*[one, other] * 25)
        assert Counter(map(tuple, outcomes)) == {(): 1, ("TAKEN",): 49}
    assert_gapless(scene)


def test_of_fifty_that_rotate_one_credential_one_makes_a_successor(scene: Scene) -> None:
    for turn in range(TURNS):
        old = scene.generate(f"turn_{turn}")["credential"]["id"]
        outcomes = at_once(*[rotating(scene, old)] * 50)
        assert Counter(map(tuple, outcomes)) == {(): 1, ("CREDENTIAL_NOT_ACTIVE",): 49}
        found = everything(scene)
        successors = [node for node in found.values() if node["predecessor"] == {"id": old}]
        assert [node["status"] for node in successors] == ["ACTIVE"]
        assert (found[old]["status"], found[old]["successor"]) == ("RETIRING", {"id": successors[0]["id"]})
        revoke_all(scene)
    assert_gapless(scene)


def test_of_fifty_that_revoke_one_credential_one_does(scene: Scene) -> None:
    for turn in range(TURNS):
        old = scene.generate(f"turn_{turn}")["credential"]["id"]
        outcomes = at_once(*[revoking(scene, old), revoking(scene, old, lineage=True)] * 25)
        assert Counter(map(tuple, outcomes)) == {(): 1, ("ALREADY_REVOKED",): 49}
    assert_gapless(scene)


def test_a_revocation_beside_a_rotation_is_before_it_or_after_it(scene: Scene) -> None:
    for turn in range(4 * TURNS):
        old = scene.generate(f"turn_{turn}")["credential"]["id"]
        calls = [rotating(scene, old), revoking(scene, old)]
        outcomes = at_once(*(calls if turn % 2 else reversed(calls)))
        rotated = outcomes[0 if turn % 2 else 1]
        found = everything(scene)
        assert found[old]["status"] == "REVOKED"
        successors = [node["status"] for node in found.values() if node["predecessor"] == {"id": old}]
        assert (rotated, successors) in [([], ["ACTIVE"]), (["CREDENTIAL_NOT_ACTIVE"], [])]
        revoke_all(scene)
    assert_gapless(scene)


def test_no_successor_escapes_when_a_lineage_is_revoked(scene: Scene) -> None:
    """Its latest member is rotated at the same moment: what comes of that is revoked too."""
    for turn in range(4 * TURNS):
        first = scene.generate(f"turn_{turn}")
        second = scene.rotate(first)["credential"]["id"]
        calls = [rotating(scene, second), revoking(scene, first["credential"]["id"], lineage=True)]
        outcomes = at_once(*(calls if turn % 2 else reversed(calls)))
        assert sorted(map(tuple, outcomes)) in [[(), ()], [(), ("CREDENTIAL_NOT_ACTIVE",)]]
        statuses = {node["status"] for node in everything(scene).values()}
        assert statuses == {"REVOKED"}
    assert_gapless(scene)


def test_a_lineage_is_revoked_from_all_its_ends_at_once(scene: Scene) -> None:
    """Each holds the others' credentials, and none waits in a circle."""
    for turn in range(2 * TURNS):
        lineage = [scene.generate(f"turn_{turn}")]
        for _ in range(3):
            lineage.append(scene.rotate(lineage[-1]))
        ids = [each["credential"]["id"] for each in lineage]
        outcomes = at_once(*(revoking(scene, id_, lineage=True) for id_ in [*ids, *reversed(ids)]))
        assert Counter(map(tuple, outcomes)) == {(): 1, ("ALREADY_REVOKED",): 7}
    assert_gapless(scene)


def test_what_is_generated_beside_a_policy_change_keeps_to_the_policy_it_came_under(scene: Scene) -> None:
    """As the log has it, one after the other."""
    changing = (
        scene.operator,
        "updateCredentialPolicy",
        {"accountId": scene.alder.id, "maximumExpiryMonths": 12},
    )
    for turn in range(4 * TURNS):
        scene.operator.do(
            "updateCredentialPolicy", "account { id }", accountId=scene.alder.id, maximumExpiryMonths=None
        )
        scene.clock.advance(seconds=1)
        calls = [generating(scene, f"turn_{turn}", expiry={"months": 13}), changing]
        outcomes = at_once(*(calls if turn % 2 else reversed(calls)))
        generated, changed = outcomes if turn % 2 else reversed(outcomes)
        assert changed == []
        assert generated in ([], ["NOT_ALLOWED_BY_POLICY"])
        before = [] if generated else ["credential.generated"]
        assert logged(scene, "credential.generated", "policy.updated") == [*before, "policy.updated"]
        revoke_all(scene)
    assert_gapless(scene)


@pytest.mark.parametrize(
    ("removing", "event", "restoring", "code"),
    [
        ("removeApiAccess", "user.api_access_removed", "grantApiAccess", "API_ACCESS_REMOVED"),
        ("deactivateUser", "user.deactivated", "reactivateUser", "UNAUTHENTICATED"),
        ("suspendAccount", "account.suspended", "reinstateAccount", "UNAUTHENTICATED"),
    ],
)
def test_nothing_is_generated_after_who_asks_may_not_any_more(
    scene: Scene, removing: str, event: str, restoring: str, code: str
) -> None:
    """As the log has it, whenever the request came in."""
    of_account = removing == "suspendAccount"
    given = {"accountId": scene.alder.id} if of_account else {"userId": scene.alder.users["member"]}
    for turn in range(2 * TURNS):
        scene.clock.advance(seconds=1)
        generated, removed = at_once(generating(scene, f"turn_{turn}"), (scene.operator, removing, given))
        assert removed == []
        assert generated in ([], [code])
        before = [] if generated else ["credential.generated"]
        assert logged(scene, "credential.generated", event) == [*before, event]
        scene.operator.do(restoring, "account { id }" if of_account else "user { id }", **given)
        scene.member = scene.sign_in("member") if removing == "deactivateUser" else scene.member
        revoke_all(scene)
    assert_gapless(scene)


def test_everything_at_once_leaves_one_line_of_events(scene: Scene) -> None:
    """Generating, rotating, moving, confining, revoking, checking: no error but those that are expected."""
    scene.operator.do(
        "updateCredentialPolicy", "account { id }", accountId=scene.alder.id, maxActiveCredentialsPerUser=100
    )
    ids = [scene.generate(f"old_{number}")["credential"]["id"] for number in range(6)]
    expected = {"CREDENTIAL_NOT_ACTIVE", "ALREADY_REVOKED", "CONFLICT"}
    for turn in range(TURNS):
        calls = [generating(scene, f"new_{turn}_{number}") for number in range(6)]
        for id_ in ids:
            to = {"credentialId": id_, "serviceId": scene.alder.services["timestamps"]}
            calls += [
                rotating(scene, id_),
                (scene.play.administrator, "reassociateCredential", to),
                (scene.member, "setAllowedNetworks", {"credentialId": id_, "networks": ["192.0.2.0/24"]}),
                revoking(scene, id_, lineage=turn % 2 == 0),
            ]
        outcomes = at_once(*calls)
        assert {code for codes in outcomes for code in codes} <= expected
        found = everything(scene)
        for id_, node in found.items():
            if node["successor"]:
                assert found[node["successor"]["id"]]["predecessor"] == {"id": id_}
                assert node["status"] in {"RETIRING", "REVOKED"}
        ids = [id_ for id_, node in found.items() if node["status"] == "ACTIVE"][:6]
    assert_gapless(scene)
