"""Settings of OpenID Connect that would let in whom nobody meant are refused at start."""

from typing import Any

import pytest

from server.settings import SettingsUnusable, load_settings

GOOD: dict[str, Any] = {"oidc_issuer": "https://accounts.provider.example", "oidc_audience": "sealkey"}


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEALKEY_CONFIG_FILE", raising=False)


@pytest.mark.parametrize(
    "issuer",
    ["https://accounts.provider.example/realms/x", "http://127.0.0.1:8080", "http://localhost/", "http://[::1]:1"],
)
def test_a_provider_elsewhere_is_asked_over_tls_and_one_on_this_machine_need_not_be(issuer: str) -> None:
    rules = load_settings(**{**GOOD, "oidc_issuer": issuer}).openid_rules
    assert rules is not None
    assert rules.issuer == issuer


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"oidc_audience": ""}, "SEALKEY_OIDC_AUDIENCE"),
        ({"issuer": GOOD["oidc_issuer"]}, "SEALKEY_ISSUER"),
        ({"oidc_issuer": "http://127.0.0.1:8000"}, "SEALKEY_ISSUER"),
        ({"oidc_issuer": "http://localhost:9000", "host": "localhost", "port": 9000}, "SEALKEY_ISSUER"),
        ({"oidc_issuer": "http://accounts.provider.example"}, "SEALKEY_OIDC_ISSUER"),
        ({"oidc_issuer": "http://127.0.0.1.attacker.example"}, "SEALKEY_OIDC_ISSUER"),
        ({"oidc_issuer": "ftp://127.0.0.1"}, "SEALKEY_OIDC_ISSUER"),
        ({"oidc_issuer": "https://accounts.provider.example?tenant=1"}, "SEALKEY_OIDC_ISSUER"),
        ({"oidc_algorithms": []}, "SEALKEY_OIDC_ALGORITHMS"),
        ({"oidc_algorithms": ["none"]}, "SEALKEY_OIDC_ALGORITHMS"),
        ({"oidc_algorithms": ["RS256", "HS256"]}, "SEALKEY_OIDC_ALGORITHMS"),
    ],
    ids=str,
)
def test_settings_that_can_t_be_meant_are_refused_by_name(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsUnusable) as refused:
        load_settings(**{**GOOD, **settings})
    given = f"--{named.removeprefix('SEALKEY_').lower().replace('_', '-')}"  # as here some are
    assert named in str(refused.value) or given in str(refused.value)


def test_without_an_issuer_nobody_is_believed_and_users_are_made_only_where_that_is_said() -> None:
    assert load_settings().openid_rules is None
    rules = load_settings(**GOOD).openid_rules
    assert rules is not None
    assert (rules.create_users, rules.create_operators, rules.verified_email_only) == (False, False, True)
