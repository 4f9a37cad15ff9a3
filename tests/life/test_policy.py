"""The policy that new credentials must keep to: who sets it, how far, and what it leaves alone."""

from typing import Any

import pytest

from tests.life.scene import Scene, keys
from tests.plugins.play import StartPlay
from tests.support.server import Client

POLICY = """account { policy {
    maxActiveCredentialsPerUser defaultExpiryMonths maximumExpiryMonths neverExpiresAllowed allowedDeliveryMethods
    minimumRsaKeyBits
} }"""
DEFAULTS = {
    "maxActiveCredentialsPerUser": 2,
    "defaultExpiryMonths": 12,
    "maximumExpiryMonths": None,
    "neverExpiresAllowed": False,
    "allowedDeliveryMethods": ["VIEW_AND_COPY", "ENCRYPTED_FILE"],
    "minimumRsaKeyBits": 2048,
}
NEEDS_AN_OPERATOR = "NOT_ALLOWED_BY_POLICY"


def policy(scene: Scene) -> Any:
    document = f"query ($id: ID!) {{ node(id: $id) {{ ... on Account {{ {POLICY[len('account {') : -1]} }} }} }}"
    return scene.operator.data(document, id=scene.alder.id)["policy"]


def change(scene: Scene, who: str = "operator", **changes: Any) -> Any:
    client: Client = getattr(scene.play, who)
    return client.do("updateCredentialPolicy", POLICY, accountId=scene.alder.id, **changes)["account"]["policy"]


def refused(scene: Scene, who: str, **changes: Any) -> list[tuple[str, list[str] | None]]:
    """What a change is refused with; it must leave the policy as it was."""
    before = policy(scene)
    client: Client = getattr(scene.play, who)
    refusals = client.refusals("updateCredentialPolicy", POLICY, accountId=scene.alder.id, **changes)
    assert policy(scene) == before
    return refusals


def test_what_is_not_named_stays(scene: Scene) -> None:
    assert policy(scene) == DEFAULTS
    assert change(scene, "administrator", maximumExpiryMonths=24) == {**DEFAULTS, "maximumExpiryMonths": 24}
    assert change(scene, "administrator", defaultExpiryMonths=6) == {
        **DEFAULTS,
        "maximumExpiryMonths": 24,
        "defaultExpiryMonths": 6,
    }


def test_null_lifts_the_bound_on_months_and_says_nothing_elsewhere(scene: Scene) -> None:
    change(scene, maximumExpiryMonths=24, maxActiveCredentialsPerUser=5)
    assert change(scene, maximumExpiryMonths=None, maxActiveCredentialsPerUser=None, minimumRsaKeyBits=None) == {
        **DEFAULTS,
        "maxActiveCredentialsPerUser": 5,
    }


@pytest.mark.parametrize("who", ["administrator", "operator"])
def test_nobody_makes_a_policy_of_nonsense(scene: Scene, who: str) -> None:
    nonsense: list[tuple[dict[str, Any], str | None]] = [
        ({}, None),
        ({"maxActiveCredentialsPerUser": -1}, "maxActiveCredentialsPerUser"),
        ({"maxActiveCredentialsPerUser": 1001}, "maxActiveCredentialsPerUser"),
        ({"defaultExpiryMonths": 0}, "defaultExpiryMonths"),
        ({"defaultExpiryMonths": 1201}, "defaultExpiryMonths"),
        ({"defaultExpiryMonths": None}, "defaultExpiryMonths"),
        ({"maximumExpiryMonths": 0}, "maximumExpiryMonths"),
        ({"maximumExpiryMonths": 1201}, "maximumExpiryMonths"),
        ({"maximumExpiryMonths": 11}, "maximumExpiryMonths"),
        ({"defaultExpiryMonths": 25, "maximumExpiryMonths": 24}, "defaultExpiryMonths"),
        ({"allowedDeliveryMethods": []}, "allowedDeliveryMethods"),
        ({"minimumRsaKeyBits": 2047}, "minimumRsaKeyBits"),
        ({"minimumRsaKeyBits": 16_385}, "minimumRsaKeyBits"),
        ({"minimumRsaKeyBits": 0}, "minimumRsaKeyBits"),
    ]
    for changes, field in nonsense:
        invalid = [("INVALID", [field] if field else None)]
        assert refused(scene, who, **changes) == invalid, changes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"maxActiveCredentialsPerUser": 1001}, "Between 0 and 1000, please."),
        ({"maximumExpiryMonths": 1201}, "Between 1 and 1200 months, please."),
        ({"minimumRsaKeyBits": 1024}, "Between 2048 and 16384 bits, please."),
        ({"allowedDeliveryMethods": []}, "Allow at least one delivery method."),
    ],
)
def test_what_is_out_of_range_is_told_the_range(scene: Scene, changes: dict[str, Any], told: str) -> None:
    document = """mutation ($input: UpdateCredentialPolicyInput!) {
        updateCredentialPolicy(input: $input) { userErrors { message } }
    }"""
    payload = scene.operator.data(document, input={"accountId": scene.alder.id, **changes})
    assert payload["userErrors"] == [{"message": told}]


def test_never_can_not_be_forbidden_while_it_is_the_default(scene: Scene) -> None:
    change(scene, "operator", neverExpiresAllowed=True, defaultExpiryMonths=None)
    assert refused(scene, "administrator", neverExpiresAllowed=False) == [("INVALID", ["neverExpiresAllowed"])]
    assert change(scene, "administrator", neverExpiresAllowed=False, defaultExpiryMonths=12) == DEFAULTS


@pytest.mark.parametrize("beyond", [{"maxActiveCredentialsPerUser": 21}, {"neverExpiresAllowed": True}], ids=str)
def test_beyond_the_providers_bounds_only_operators_go(scene: Scene, beyond: dict[str, Any]) -> None:
    assert refused(scene, "administrator", **beyond) == [(NEEDS_AN_OPERATOR, [name]) for name in beyond]
    assert change(scene, "operator", **beyond) == {**DEFAULTS, **beyond}


def test_the_bounds_themselves_are_an_administrators(scene: Scene) -> None:
    assert change(scene, "administrator", maxActiveCredentialsPerUser=20)["maxActiveCredentialsPerUser"] == 20


def test_what_an_operator_allowed_an_administrator_may_leave_and_narrow(scene: Scene) -> None:
    change(scene, "operator", maxActiveCredentialsPerUser=50, neverExpiresAllowed=True)
    assert change(scene, "administrator", minimumRsaKeyBits=3072)["maxActiveCredentialsPerUser"] == 50
    assert refused(scene, "administrator", maxActiveCredentialsPerUser=49) == [
        (NEEDS_AN_OPERATOR, ["maxActiveCredentialsPerUser"])
    ]
    assert change(scene, "administrator", neverExpiresAllowed=False)["neverExpiresAllowed"] is False


@pytest.mark.parametrize(
    ("beyond", "within"),
    [
        ({"maximumExpiryMonths": 25}, {"maximumExpiryMonths": 24}),
        ({"defaultExpiryMonths": 25}, {"defaultExpiryMonths": 24}),
        ({"maximumExpiryMonths": None}, {"maximumExpiryMonths": 12}),
        ({"minimumRsaKeyBits": 3071}, {"minimumRsaKeyBits": 3072}),
    ],
    ids=str,
)
def test_a_deployment_sets_the_bounds(start_play: StartPlay, beyond: dict[str, Any], within: dict[str, Any]) -> None:
    scene = Scene(start_play(policy_maximum_expiry_months=24, policy_minimum_rsa_key_bits=3072))
    assert refused(scene, "administrator", **beyond) == [(NEEDS_AN_OPERATOR, [name]) for name in beyond]
    assert change(scene, "administrator", **within) == {**DEFAULTS, **within}


@pytest.mark.parametrize("who", ["member", "auditor"])
def test_members_and_auditors_set_no_policy(scene: Scene, who: str) -> None:
    document = """mutation ($id: ID!) { updateCredentialPolicy(input: {
        accountId: $id, maxActiveCredentialsPerUser: 3}) { account { id } } }"""
    client: Client = getattr(scene.play, who)
    assert client.error_code(document, id=scene.alder.id) == "FORBIDDEN"
    assert policy(scene) == DEFAULTS


def test_another_accounts_policy_is_not_there(scene: Scene) -> None:
    refusals = refused(scene, "other_administrator", maxActiveCredentialsPerUser=3)
    assert refusals == [("NOT_FOUND", ["accountId"])]


def test_a_policy_is_for_new_credentials_only(scene: Scene) -> None:
    change(scene, "operator", neverExpiresAllowed=True)
    olds = [scene.generate("first", expiry={"never": True}), scene.generate("second", expiry={"months": 36})]
    change(
        scene,
        "operator",
        maxActiveCredentialsPerUser=1,
        neverExpiresAllowed=False,
        maximumExpiryMonths=12,
        allowedDeliveryMethods=["ENCRYPTED_FILE"],
    )
    for old in olds:
        shown = scene.gateway.do("verifyCredential", "code credential { expiresAt }", **keys(old))
        assert shown == {
            "code": "OK",
            "credential": {"expiresAt": old["credential"]["expiresAt"]},
            "userErrors": [],
        }


def test_a_limit_of_none_stops_new_credentials(scene: Scene) -> None:
    change(scene, "administrator", maxActiveCredentialsPerUser=0)
    wanted = {
        "name": "ci",
        "serviceId": scene.alder.services["certificates"],
        "identityId": scene.alder.identities["active"],
        "delivery": {"method": "VIEW_AND_COPY"},
    }
    assert scene.member.refusals("generateCredential", "credential { id }", **wanted) == [("LIMIT_REACHED", None)]


@pytest.mark.parametrize(("default", "end"), [(1, "2026-02-15T12:00:00Z"), (None, None)])
def test_the_default_holds_where_a_request_names_no_end(scene: Scene, default: int | None, end: str | None) -> None:
    change(scene, "operator", neverExpiresAllowed=True, defaultExpiryMonths=default)
    assert scene.generate()["credential"]["expiresAt"] == end


@pytest.mark.parametrize("expiry", [{"months": 12}, {"at": "2027-01-15T12:00:00Z"}], ids=str)
def test_the_longest_life_that_a_policy_allows_is_allowed(scene: Scene, expiry: dict[str, Any]) -> None:
    change(scene, "administrator", maximumExpiryMonths=12)
    assert scene.generate(expiry=expiry)["credential"]["expiresAt"] == "2027-01-15T12:00:00Z"
