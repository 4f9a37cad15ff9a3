"""Logging in with an API key and a wrong secret: noise is kept down, and no credential is ever locked by it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from resolvers import check_credential
from resolvers.throttling import LOGIN
from tests.support.world import Play
from tests.throttling.tries import ELSEWHERE, HERE, IN, REFUSED, denied, documents, log_in, sign_in

WRONG = "sealkey_secret_wrong"


@pytest.fixture
def credential(proxied: Play) -> dict[str, str]:
    delivery: dict[str, str] = proxied.generate("ci")["delivery"]
    return delivery


def use_up(play: Play, api_key: str, tries: int = 100, source: str = ELSEWHERE) -> None:
    """The hundred tries that are free."""
    fields = [f'login(input: {{apiKey: "{api_key}", apiSecret: "{WRONG}"}}) {{ userErrors {{ code }} }}'] * tries
    for document in documents(fields):
        assert "errors" not in play.nobody.sending(X_Forwarded_For=source).execute(document)


def test_after_a_hundred_wrong_secrets_each_next_one_waits_twice_as_long(
    proxied: Play, credential: dict[str, str]
) -> None:
    use_up(proxied, credential["apiKey"])
    guessing = proxied.nobody.sending(X_Forwarded_For=ELSEWHERE)
    for seconds in (1, 2, 4):
        assert log_in(guessing, credential["apiKey"], WRONG) == seconds
        proxied.clock.advance(seconds=seconds)
        assert log_in(guessing, credential["apiKey"], WRONG) == REFUSED
    assert denied(proxied, "login.denied") == 103


def test_guesses_at_a_credential_never_keep_its_owner_out(proxied: Play, credential: dict[str, str]) -> None:
    use_up(proxied, credential["apiKey"])
    secret = credential["apiSecret"]
    assert log_in(proxied.nobody.sending(X_Forwarded_For=ELSEWHERE), credential["apiKey"], secret) == 1
    assert log_in(proxied.nobody.sending(X_Forwarded_For=HERE), credential["apiKey"], secret) == IN
    checked = proxied.operator.do("verifyCredential", "decision", apiKey=credential["apiKey"], apiSecret=secret)
    assert checked["decision"] == "ALLOW"


def test_another_credential_logs_in_from_the_same_source_meanwhile(proxied: Play, credential: dict[str, str]) -> None:
    other = proxied.generate("other")["delivery"]
    use_up(proxied, other["apiKey"])
    guessing = proxied.nobody.sending(X_Forwarded_For=ELSEWHERE)
    assert log_in(guessing, credential["apiKey"], credential["apiSecret"]) == IN


def test_a_source_that_tries_many_keys_waits_whatever_it_tries_next(
    proxied: Play, credential: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LOGIN.source.free == 1000
    # Fewer, for the sake of time.
    monkeypatch.setattr(check_credential, "LOGIN", replace(LOGIN, source=replace(LOGIN.source, free=50)))
    for number in range(5):
        use_up(proxied, f"sealkey_key_{number:016}", tries=10)
    guessing = proxied.nobody.sending(X_Forwarded_For=ELSEWHERE)
    assert log_in(guessing, credential["apiKey"], credential["apiSecret"]) == 1
    assert log_in(proxied.nobody.sending(X_Forwarded_For=HERE), credential["apiKey"], credential["apiSecret"]) == IN


def test_a_fleet_behind_one_address_logs_in_at_once_with_one_credential(
    proxied: Play, credential: dict[str, str]
) -> None:
    fleet = proxied.nobody.sending(X_Forwarded_For=HERE)
    with ThreadPoolExecutor(40) as threads:
        logins = [threads.submit(log_in, fleet, credential["apiKey"], credential["apiSecret"]) for _ in range(40)]
    assert {login.result() for login in logins} == {IN}


def test_five_wrong_retries_at_once_and_then_the_right_secret_shut_nobody_out(
    proxied: Play, credential: dict[str, str]
) -> None:
    client = proxied.nobody.sending(X_Forwarded_For=HERE)
    with ThreadPoolExecutor(5) as threads:
        logins = [threads.submit(log_in, client, credential["apiKey"], WRONG) for _ in range(5)]
    assert {login.result() for login in logins} == {REFUSED}
    assert log_in(client, credential["apiKey"], credential["apiSecret"]) == IN


def test_a_gateway_is_exempt_since_it_passes_on_what_others_try(proxied: Play, credential: dict[str, str]) -> None:
    made = proxied.operator.do("createGatewayToken", "token", name="edge", expiresAt="2026-06-01T00:00:00Z")
    gateway = proxied.server.client(made["token"])
    login = f'login(input: {{apiKey: "{credential["apiKey"]}", apiSecret: "{WRONG}"}}) {{ userErrors {{ code }} }}'
    for document in documents([login] * 160):
        assert "errors" not in gateway.execute(document)
    assert log_in(gateway, credential["apiKey"], credential["apiSecret"]) == IN


def test_the_gateway_of_an_account_is_exempt_for_that_account_s_credentials_alone(
    proxied: Play, credential: dict[str, str]
) -> None:
    theirs = proxied.generate(
        "theirs",
        proxied.other_member,
        serviceId=proxied.birch.services["certificates"],
        identityId=proxied.birch.identities["active"],
    )["delivery"]
    made = proxied.administrator.do("createGatewayToken", "token", name="edge", expiresAt="2026-06-01T00:00:00Z")
    gateway = proxied.server.client(made["token"]).sending(X_Forwarded_For=ELSEWHERE)

    for api_key in (credential["apiKey"], theirs["apiKey"]):
        login = f'login(input: {{apiKey: "{api_key}", apiSecret: "{WRONG}"}}) {{ userErrors {{ code }} }}'
        for document in documents([login] * 160):
            gateway.execute(document)
    seen = '{ auditEvents(filter: {types: ["login.denied"]}) { totalCount } }'
    assert proxied.administrator.data(seen) == {"totalCount": 160}
    assert proxied.other_administrator.data(seen) == {"totalCount": 100}
    assert log_in(gateway, theirs["apiKey"], theirs["apiSecret"]) == 1
    assert log_in(gateway, "sealkey_key_0000000000000000", WRONG) == REFUSED
    assert log_in(gateway, credential["apiKey"], credential["apiSecret"]) == IN


def test_wrong_secrets_do_not_keep_people_from_signing_in(proxied: Play, credential: dict[str, str]) -> None:
    use_up(proxied, credential["apiKey"])
    assert sign_in(proxied.nobody.sending(X_Forwarded_For=ELSEWHERE)) == IN


@pytest.mark.parametrize("api_key", ["", "\0", "sealkey_key_\0", "x" * 10_000, "' OR 1=1 --"])
def test_what_is_no_api_key_is_refused_as_a_wrong_one_is(play: Play, api_key: str) -> None:
    refusals = play.nobody.refusals("login", "accessToken", apiKey=api_key, apiSecret=WRONG)
    assert refusals == [("INVALID_CREDENTIALS", None)]
