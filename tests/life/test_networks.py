"""A credential that is kept to networks is let in from there and from nowhere else."""

from typing import Any

import pytest

from tests.life.scene import HERE, Scene, keys
from tests.plugins.play import StartPlay
from tests.support.server import Client

NETWORKS = "credential { id allowedNetworks }"
ELSEWHERE = "192.0.2.0/24"

WRONG = {
    "host bits": "192.0.2.1/24",
    "IPv6 host bits": "2001:db8::1/32",
    "no address": "office",
    "nothing": "",
    "too long a prefix": "192.0.2.0/33",
    "half an address": "192.0.2/24",
    "a number": "3221225984",
    "a space within": "192.0.2.0 /24",
    "two in one": "192.0.2.0/24 198.51.100.0/24",
    "a zone": "fe80::%eth0/64",
    "a zone with a space": "fe80::1%a b",
    "a long zone": f"fe80::1%{'x' * 3000}",
}


def confine(scene: Scene, generated: Any, *networks: str, client: Client | None = None) -> list[str]:
    """Keeps a credential to networks; as they then are."""
    wanted = {"credentialId": generated["credential"]["id"], "networks": networks}
    allowed: list[str] = (client or scene.member).do("setAllowedNetworks", NETWORKS, **wanted)["credential"][
        "allowedNetworks"
    ]
    return allowed


@pytest.mark.parametrize("network", WRONG.values(), ids=WRONG)
def test_what_is_no_network_is_refused(scene: Scene, network: str) -> None:
    generated = scene.generate(allowedNetworks=[ELSEWHERE])
    networks = {"networks": [HERE, network]}
    wanted = {"credentialId": generated["credential"]["id"], **networks}
    assert scene.member.refusals("setAllowedNetworks", NETWORKS, **wanted) == [("INVALID", ["networks"])]
    assert scene.check(generated, clientAddress="192.0.2.7")[0] == "OK"

    another = {
        "name": "another",
        "serviceId": scene.alder.services["certificates"],
        "identityId": scene.alder.identities["active"],
        "delivery": {"method": "VIEW_AND_COPY"},
        "allowedNetworks": networks["networks"],
    }
    refusals = scene.member.refusals("generateCredential", "credential { id }", **another)
    assert refusals == [("INVALID", ["allowedNetworks"])]


def test_there_are_at_most_fifty(scene: Scene) -> None:
    generated = scene.generate()
    longest = [f"2001:db8:1111:2222:3333:4444:5555:{number:x}/128" for number in range(0x6660, 0x6693)]
    assert confine(scene, generated, *longest[:50]) == longest[:50]
    wanted = {"credentialId": generated["credential"]["id"], "networks": longest}
    assert scene.member.refusals("setAllowedNetworks", NETWORKS, **wanted) == [("INVALID", ["networks"])]


def test_networks_are_shown_in_their_normal_form_and_once(scene: Scene) -> None:
    as_written = [" 192.0.2.0/24 ", "192.0.2.0/255.255.255.0", "198.51.100.7", "2001:DB8:0::/32"]
    assert confine(scene, scene.generate(), *as_written) == ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("networks", "address", "code"),
    [
        (["192.0.2.0/24"], "192.0.2.255", "OK"),
        (["192.0.2.0/24"], "192.0.3.0", "ADDRESS_NOT_ALLOWED"),
        (["192.0.2.0/24", "198.51.100.7"], "198.51.100.7", "OK"),
        (["192.0.2.0/24"], "::ffff:192.0.2.1", "OK"),
        (["192.0.2.0/24"], "::ffff:c000:201", "OK"),
        (["192.0.2.0/24"], "::ffff:192.0.3.1", "ADDRESS_NOT_ALLOWED"),
        (["192.0.2.0/24"], "2001:db8::1", "ADDRESS_NOT_ALLOWED"),
        (["::ffff:192.0.2.0/120"], "192.0.2.1", "OK"),
        (["::ffff:192.0.2.0/120"], "::ffff:192.0.2.1", "OK"),
        (["::ffff:192.0.2.0/120"], "192.0.3.1", "ADDRESS_NOT_ALLOWED"),
        (["::ffff:192.0.2.1"], "192.0.2.1", "OK"),
        (["2001:db8::/32"], "2001:db8:ffff::1", "OK"),
        (["2001:db8::/32"], "2001:db9::1", "ADDRESS_NOT_ALLOWED"),
        (["fe80::/10"], "fe80::1%eth0", "OK"),
        (["0.0.0.0/0"], "203.0.113.9", "OK"),
        (["0.0.0.0/0"], "::ffff:203.0.113.9", "OK"),
        (["0.0.0.0/0"], "2001:db8::1", "ADDRESS_NOT_ALLOWED"),
        (["192.0.2.0/24"], "", "ADDRESS_NOT_ALLOWED"),
        (["192.0.2.0/24"], "localhost", "ADDRESS_NOT_ALLOWED"),
        (["192.0.2.0/24"], None, "ADDRESS_NOT_ALLOWED"),
        ([], None, "OK"),
        ([], "anything at all", "OK"),
    ],
    ids=str,
)
def test_a_gateway_says_where_a_client_is(scene: Scene, networks: list[str], address: str | None, code: str) -> None:
    generated = scene.generate(allowedNetworks=networks)
    assert scene.check(generated, clientAddress=address) == (code, "ACTIVE")


def test_where_the_gateway_says_nothing_the_client_is_nowhere(scene: Scene) -> None:
    """That the gateway itself is in the network is nothing to the client."""
    generated = scene.generate(allowedNetworks=[f"{HERE}/32"])
    assert scene.check(generated) == ("ADDRESS_NOT_ALLOWED", "ACTIVE")
    assert scene.check(generated, clientAddress=HERE) == ("OK", "ACTIVE")


def test_a_login_from_elsewhere_is_refused_with_the_true_reason(scene: Scene) -> None:
    generated = scene.generate(allowedNetworks=[ELSEWHERE])
    refusals = scene.play.nobody.refusals("login", "accessToken scope", **keys(generated))
    assert refusals == [("ADDRESS_NOT_ALLOWED", None)]
    confine(scene, generated, ELSEWHERE, "127.0.0.0/8")
    assert scene.login(generated) == "scope: certificates"


def test_with_a_wrong_secret_nothing_is_said_of_networks(scene: Scene) -> None:
    generated, other = scene.generate(allowedNetworks=[ELSEWHERE]), scene.generate("other")
    mixed = {"apiKey": keys(generated)["apiKey"], "apiSecret": keys(other)["apiSecret"]}
    assert scene.play.nobody.refusals("login", "accessToken", **mixed) == [("INVALID_CREDENTIALS", None)]
    assert scene.gateway.do("verifyCredential", "code", **mixed)["code"] == "INVALID_CREDENTIALS"


def test_a_login_comes_from_where_a_trusted_proxy_says(start_play: StartPlay) -> None:
    scene = Scene(start_play(trusted_proxies=["127.0.0.1/32"]))
    generated = scene.generate(allowedNetworks=[ELSEWHERE])
    for address, code in (("192.0.2.7", []), ("198.51.100.7", ["ADDRESS_NOT_ALLOWED"])):
        client = scene.play.nobody.sending(X_Forwarded_For=address)
        answer = client.mutate("login", "scope", **keys(generated))
        assert [error["code"] for error in answer["userErrors"]] == code


def test_what_blocks_a_credential_is_told_before_its_networks(scene: Scene) -> None:
    generated = scene.generate(allowedNetworks=[ELSEWHERE])
    scene.operator.do("suspendService", "service { id }", serviceId=scene.alder.services["certificates"])
    assert scene.check(generated, clientAddress=HERE)[0] == "SERVICE_SUSPENDED"


def test_networks_hold_at_once_and_are_no_blocker(scene: Scene) -> None:
    """Whether it is usable does not depend on who looks."""
    generated = scene.generate()
    confine(scene, generated, ELSEWHERE)
    shown = scene.gateway.do(
        "verifyCredential", "code credential { usable blockers }", **keys(generated), clientAddress=HERE
    )
    assert shown["code"] == "ADDRESS_NOT_ALLOWED"
    assert shown["credential"] == {"usable": True, "blockers": []}
    assert confine(scene, generated) == []
    assert scene.check(generated) == ("OK", "ACTIVE")


def test_a_retiring_credential_can_be_confined_an_ended_one_not(scene: Scene) -> None:
    old = scene.generate()
    scene.rotate(old, graceHours=1)
    confine(scene, old, ELSEWHERE)
    assert scene.check(old, clientAddress=HERE) == ("ADDRESS_NOT_ALLOWED", "RETIRING")
    scene.clock.advance(hours=1)
    wanted = {"credentialId": old["credential"]["id"], "networks": []}
    refusals = scene.member.refusals("setAllowedNetworks", NETWORKS, **wanted)
    assert refusals == [("CREDENTIAL_NOT_ACTIVE", ["credentialId"])]
    scene.member.do("revokeCredential", "credential { id }", credentialId=wanted["credentialId"])
    assert scene.member.refusals("setAllowedNetworks", NETWORKS, **wanted) == refusals


def test_owners_and_administrators_confine_and_nobody_else(scene: Scene) -> None:
    generated = scene.generate()
    for client in (scene.member, scene.play.administrator, scene.operator):
        assert confine(scene, generated, ELSEWHERE, client=client) == [ELSEWHERE]
    wanted = {"credentialId": generated["credential"]["id"], "networks": []}
    for stranger in (scene.play.other_administrator, scene.play.other_member):
        assert stranger.refusals("setAllowedNetworks", NETWORKS, **wanted) == [("NOT_FOUND", ["credentialId"])]
    document = """mutation ($id: ID!) { setAllowedNetworks(input: {credentialId: $id, networks: []}) {
        credential { id } } }"""
    assert scene.play.auditor.error_code(document, id=wanted["credentialId"]) == "FORBIDDEN"
    assert confine(scene, generated, ELSEWHERE) == [ELSEWHERE]
