"""Tokens that the OpenID provider has signed, and that sign nobody in all the same."""

from typing import Any

import pytest

from tests.openid.people import emails, is_refused
from tests.support.provider import MEMBER_OF_ALDER, NOT_GIVEN, Provider, changed
from tests.support.world import Play

CAROL = "carol@alder.example"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"email": NOT_GIVEN}, id="no address"),
        pytest.param({"email": "Carol"}, id="no address but a name"),
        pytest.param({"email": [CAROL]}, id="a list of addresses"),
        pytest.param({"email": "carol\0@alder.example"}, id="an address with a null in it"),
        pytest.param({"email_verified": NOT_GIVEN}, id="an address that nobody says is verified"),
        pytest.param({"email_verified": False}, id="an address that is not verified"),
        pytest.param({"email_verified": "true"}, id="an address that is verified in words"),
        pytest.param({"sealkey_role": NOT_GIVEN}, id="no role"),
        pytest.param({"sealkey_role": "OWNER"}, id="a role that there is not"),
        pytest.param({"sealkey_role": "member"}, id="a role in small letters"),
        pytest.param({"sealkey_role": ["MEMBER"]}, id="a list of roles"),
        pytest.param({"sealkey_role": "GATEWAY"}, id="a machine's role"),
        pytest.param({"sealkey_role": "OPERATOR"}, id="an operator of an account"),
        pytest.param({"sealkey_role": "OPERATOR", "sealkey_account": "Yew"}, id="an operator of a stranger's account"),
        pytest.param({"sealkey_account": NOT_GIVEN}, id="no account"),
        pytest.param({"sealkey_account": "Yew"}, id="an account that there is not"),
        pytest.param({"sealkey_account": ""}, id="an account without a name"),
        pytest.param({"sealkey_account": "Alder\0"}, id="an account with a null in it"),
        pytest.param({"sealkey_account": ["Alder"]}, id="a list of accounts"),
    ],
)
def test_claims_that_do_not_say_who_this_is_make_nobody(
    provider: Provider, unchanged: Play, claims: dict[str, Any]
) -> None:
    before = emails(unchanged.operator)
    assert is_refused(unchanged, provider.token("carol", **changed(claims)))
    assert emails(unchanged.operator) == before


@pytest.mark.parametrize("subject", ["x" * 256, "carole\u0301"])
def test_a_subject_that_openid_connect_does_not_allow_makes_nobody(
    provider: Provider, unchanged: Play, subject: str
) -> None:
    assert is_refused(unchanged, provider.token(subject, **MEMBER_OF_ALDER))
    assert CAROL not in emails(unchanged.operator)
