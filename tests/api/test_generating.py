"""Generating a credential: what comes of it, and everything it is refused for."""

import re
from base64 import b64decode
from hashlib import sha256
from typing import Any

import pytest

from auth.crypto.envelopes import open_envelope
from tests.auth.crypto import keys
from tests.plugins.play import Theatre
from tests.support.rows import row_id
from tests.support.server import Client
from tests.support.world import GENERATED, Play

KEY = re.compile(r"sealkey_key_[0-9A-Za-z]{16}")
SECRET = re.compile(r"sealkey_secret_[0-9A-Za-z]{49}")
Refusals = list[tuple[str, list[str] | None]]


def wanted(play: Play, **fields: Any) -> dict[str, Any]:
    return {
        "name": "ci",
        "serviceId": play.alder.services["certificates"],
        "identityId": play.alder.identities["active"],
        "delivery": {"method": "VIEW_AND_COPY"},
        **fields,
    }


def refusals(play: Play, client: Client | None = None, **fields: Any) -> Refusals:
    """Of a request that is refused, and so leaves every row as it was."""
    with play.rows.unchanged():
        return (client or play.member).refusals("generateCredential", GENERATED, **wanted(play, **fields))


def set_policy(play: Play, assignment: str) -> None:
    play.rows.set("accounts", play.alder.id, assignment)


def second_member(play: Play) -> Client:
    play.rows.set("users", play.alder.users["member_without_access"], "api_access = true")
    return play.member_without_access


# ---------------------------------------------------------------- what comes of it


def test_key_and_secret_are_handed_over_with_a_file_of_both(play: Play) -> None:
    generated = play.generate("ci_1")
    key, secret, csv = (generated["delivery"][field] for field in ("apiKey", "apiSecret", "csv"))
    assert KEY.fullmatch(key)
    assert SECRET.fullmatch(secret)
    assert (csv["name"], csv["mediaType"]) == ("ci_1.csv", "text/csv")
    assert b64decode(csv["contentBase64"]) == f"API Key,API Secret\r\n{key},{secret}\r\n".encode()


def test_the_credential_is_shown_without_its_secret_and_with_its_key_masked(play: Play) -> None:
    answer = play.generate("ci")
    key, secret = answer["delivery"].pop("apiKey"), answer["delivery"].pop("apiSecret")
    answer["delivery"].pop("csv")
    credential = answer["credential"]
    assert credential.pop("id").startswith("cred_")
    assert credential == {
        "name": "ci",
        "maskedApiKey": f"sealkey_key_{'*' * 12}{key[-4:]}",
        "status": "ACTIVE",
        "usable": True,
        "blockers": [],
        "expiresAt": "2027-01-15T12:00:00Z",
    }
    assert secret not in repr(answer)


def test_a_credential_belongs_to_who_generated_it(play: Play) -> None:
    id_ = play.generate("ci")["credential"]["id"]
    document = """query ($id: ID!) { node(id: $id) { ... on Credential {
        owner { id } account { id } service { id } identity { id }
        deliveryMethod publicKeyFingerprint createdAt revokedAt revocationReason lastUsedAt
    } } }"""
    assert play.auditor.data(document, id=id_) == {
        "owner": {"id": play.alder.users["member"]},
        "account": {"id": play.alder.id},
        "service": {"id": play.alder.services["certificates"]},
        "identity": {"id": play.alder.identities["active"]},
        "deliveryMethod": "VIEW_AND_COPY",
        "publicKeyFingerprint": None,
        "createdAt": "2026-01-15T12:00:00Z",
        "revokedAt": None,
        "revocationReason": None,
        "lastUsedAt": None,
    }


@pytest.mark.parametrize("method", ["VIEW_AND_COPY", "ENCRYPTED_FILE"])
def test_generating_is_recorded_with_how_the_secret_was_delivered(play: Play, method: str) -> None:
    before = play.rows.dump()
    delivery = {"method": method}
    if method == "ENCRYPTED_FILE":
        delivery["publicKey"] = keys.spki_pem(keys.public_key())
    credential = play.generate("ci", delivery=delivery)["credential"]
    after = play.rows.dump()
    (event,) = set(after["audit_events"]) - set(before["audit_events"])
    told = (
        "Credential ci was generated for service alder certificates and identity alder active,"
        f" its secret delivered by {method}"
    )
    assert {"credential.generated", credential["id"], told} <= set(event)
    assert row_id(play.alder.users["member"]) in map(str, event)
    changed = {table for table, rows in after.items() if rows != before[table]}
    assert changed == {"credentials", "audit_events", "audit_chains"}


def test_nothing_of_the_secret_is_kept(play: Play) -> None:
    secret = play.generate("ci")["delivery"]["apiSecret"]
    kept = repr(play.rows.dump())
    body = secret.removeprefix("sealkey_secret_")
    assert not [piece for piece in (body[at : at + 8] for at in range(42)) if piece in kept]


def test_no_two_credentials_have_a_key_or_secret_in_common(play: Play) -> None:
    one, other = play.keys("one"), play.keys("other")
    assert one["apiKey"] != other["apiKey"]
    assert one["apiSecret"] != other["apiSecret"]
    assert play.nobody.refusals("login", "scope", apiKey=one["apiKey"], apiSecret=other["apiSecret"])


def test_the_prefix_is_the_deployments(theatre: Theatre) -> None:
    with theatre.new(key_prefix="acme") as play:
        generated = play.generate("ci")
        assert generated["delivery"]["apiKey"].startswith("acme_key_")
        assert generated["delivery"]["apiSecret"].startswith("acme_secret_")
        assert generated["credential"]["maskedApiKey"].startswith("acme_key_****")
        key, secret = generated["delivery"]["apiKey"], generated["delivery"]["apiSecret"]
        assert play.nobody.do("login", "scope", apiKey=key, apiSecret=secret)["scope"] == "certificates"


# ---------------------------------------------------------------- the encrypted file


@pytest.mark.parametrize("format_", ["CMS", "JWE", None])
def test_an_encrypted_file_opens_with_the_private_key_and_its_secret_logs_in(play: Play, format_: str | None) -> None:
    delivery = {"method": "ENCRYPTED_FILE", "publicKey": keys.spki_pem(keys.public_key())}
    generated = play.generate("ci", delivery=delivery | ({"format": format_} if format_ else {}))
    file, format_ = generated["delivery"]["file"], format_ or "CMS"
    assert generated["delivery"]["format"] == format_
    assert file["name"] == "ci.enc"
    assert file["mediaType"] == {"CMS": "application/x-pem-file", "JWE": "application/jose"}[format_]
    assert "ci.enc" in generated["delivery"]["decryptCommand"]

    content = open_envelope(b64decode(file["contentBase64"]), keys.private_key()).decode()
    found = re.fullmatch(rf"API Key,API Secret\r\n({KEY.pattern}),({SECRET.pattern})\r\n", content)
    assert found
    key, secret = found.groups()
    assert play.nobody.do("login", "scope", apiKey=key, apiSecret=secret)["scope"] == "certificates"
    assert secret not in repr(generated)
    assert secret.encode() not in b64decode(file["contentBase64"])


def test_an_encrypted_file_is_bound_to_the_key_it_was_asked_for(play: Play) -> None:
    public = keys.public_key()
    delivery = {"method": "ENCRYPTED_FILE", "publicKey": keys.ssh_line(public)}
    generated = play.generate("ci", delivery=delivery)
    fingerprint = sha256(keys.spki(public)).hexdigest()
    assert generated["delivery"]["publicKeyFingerprint"] == fingerprint
    document = (
        "query ($id: ID!) { node(id: $id) { ... on Credential { deliveryMethod publicKeyFingerprint maskedApiKey } } }"
    )
    shown = play.member.data(document, id=generated["credential"]["id"])
    assert (shown["deliveryMethod"], shown["publicKeyFingerprint"]) == ("ENCRYPTED_FILE", fingerprint)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "A", "a-b", "a.b", "\u00e9", "\u0131", "a\n", "\na", "a\0", "a" * 65, "\uff11", "../a", "=a"],
    ids=ascii,
)
def test_a_name_of_other_characters_or_too_long_is_refused(shared_play: Play, name: str) -> None:
    assert refusals(shared_play, name=name) == [("INVALID", ["name"])]


@pytest.mark.parametrize("name", ["a", "_", "0", "a" * 64])
def test_every_other_name_is_taken(play: Play, name: str) -> None:
    assert play.generate(name)["credential"]["name"] == name


def test_a_name_is_taken_by_anybodys_credential_of_the_account_until_it_is_revoked(play: Play) -> None:
    first = play.generate("ci", expiry={"at": play.clock.in_(hours=1)})["credential"]["id"]
    second = second_member(play)
    assert refusals(play) == refusals(play, second) == [("TAKEN", ["name"])]
    play.clock.advance(hours=1)  # it has expired, and its name is still its own
    assert refusals(play) == [("TAKEN", ["name"])]
    play.member.do("revokeCredential", "credential { id }", credentialId=first)
    play.generate("ci", second)


def test_a_name_is_free_in_every_other_account(play: Play) -> None:
    play.generate("ci")
    birch = {"serviceId": play.birch.services["certificates"], "identityId": play.birch.identities["active"]}
    play.generate("ci", play.other_member, **birch)


# ---------------------------------------------------------------- the limit


def test_nobody_holds_more_active_credentials_than_the_policy_allows(play: Play) -> None:
    first = play.generate("one", expiry={"at": play.clock.in_(hours=1)})["credential"]["id"]
    play.generate("two", expiry={"at": play.clock.in_(hours=1)})
    assert refusals(play, name="three") == [("LIMIT_REACHED", None)]
    play.generate("other", second_member(play))  # the limit is each user's
    play.member.do("revokeCredential", "credential { id }", credentialId=first)
    play.generate("three")
    assert refusals(play, name="four") == [("LIMIT_REACHED", None)]
    play.clock.advance(minutes=59, seconds=59, milliseconds=999)
    assert refusals(play, name="four") == [("LIMIT_REACHED", None)]
    play.clock.advance(milliseconds=1)  # the second has expired
    play.generate("four")


def test_a_blocked_credential_still_takes_a_place(play: Play) -> None:
    play.generate("one")
    play.generate("two")
    service = play.alder.services["certificates"]
    play.operator.do("suspendService", "service { id }", serviceId=service)
    other = play.alder.services["timestamps"]
    assert refusals(play, name="three", serviceId=other) == [("LIMIT_REACHED", None)]


def test_a_limit_of_none_lets_nobody_generate(play: Play) -> None:
    set_policy(play, "max_active_credentials_per_user = 0")
    assert refusals(play) == [("LIMIT_REACHED", None)]


# ---------------------------------------------------------------- services and identities


def test_a_service_that_is_not_active_is_refused(play: Play) -> None:
    def new(code: str, **fields: Any) -> str:
        service: dict[str, str] = play.operator.do(
            "createService",
            "service { id }",
            accountId=play.alder.id,
            name=code,
            code=code,
            identityIds=[play.alder.identities["active"]],
            **fields,
        )["service"]
        return service["id"]

    services = {
        "SCHEDULED": new("scheduled", startsAt=play.clock.in_(hours=1)),
        "EXPIRED": new("expired", expiresAt=play.clock.in_(minutes=1)),
        "SUSPENDED": new("suspended"),
        "CANCELLED": new("cancelled"),
    }
    play.operator.do("suspendService", "service { id }", serviceId=services["SUSPENDED"])
    play.operator.do("cancelService", "service { id }", serviceId=services["CANCELLED"])
    play.clock.advance(minutes=1)
    for status, service in services.items():
        payload = play.member.mutate("generateCredential", GENERATED, **wanted(play, serviceId=service))
        assert status in payload["userErrors"][0]["message"]
        assert refusals(play, serviceId=service) == [("SERVICE_NOT_ACTIVE", ["serviceId"])]
    play.clock.advance(hours=1)
    play.generate("ci", serviceId=services["SCHEDULED"])


def test_an_identity_that_is_not_active_is_refused(play: Play) -> None:
    service = play.alder.services["certificates"]
    identities = {"PENDING_VETTING": play.alder.identities["pending"]}
    for status in ("REJECTED", "SUSPENDED", "EXPIRED"):
        made = play.member.do("submitIdentity", "identity { id }", name=status, kind="DOMAIN")
        identities[status] = made["identity"]["id"]
    play.operator.do("rejectIdentity", "identity { id }", identityId=identities["REJECTED"])
    play.operator.do("approveIdentity", "identity { id }", identityId=identities["SUSPENDED"])
    play.operator.do("suspendIdentity", "identity { id }", identityId=identities["SUSPENDED"])
    end = play.clock.in_(minutes=1)
    play.operator.do("approveIdentity", "identity { id }", identityId=identities["EXPIRED"], validUntil=end)
    play.clock.advance(minutes=1)
    for status, identity in identities.items():
        play.operator.do("linkIdentityToService", "service { id }", serviceId=service, identityId=identity)
        payload = play.member.mutate("generateCredential", GENERATED, **wanted(play, identityId=identity))
        assert status in payload["userErrors"][0]["message"]
        assert refusals(play, identityId=identity) == [("IDENTITY_NOT_ACTIVE", ["identityId"])]


def test_an_identity_that_is_not_linked_to_the_service_is_refused(shared_play: Play) -> None:
    expected = [("IDENTITY_NOT_LINKED_TO_SERVICE", ["identityId"])]
    assert refusals(shared_play, identityId=shared_play.alder.identities["lone"]) == expected


@pytest.mark.parametrize("field", ["serviceId", "identityId"])
def test_what_belongs_to_another_account_is_answered_as_what_is_not_there(shared_play: Play, field: str) -> None:
    kind, prefix = ("services", "svc") if field == "serviceId" else ("identities", "idty")
    others = getattr(shared_play.birch, kind)["certificates" if field == "serviceId" else "active"]
    wrong = [others, f"{prefix}_{'0' * 32}", "", "nobodys", others.upper(), shared_play.alder.id, f"{others} "]
    with shared_play.rows.unchanged():
        payloads = [
            shared_play.member.mutate("generateCredential", GENERATED, **wanted(shared_play, **{field: id_}))
            for id_ in wrong
        ]
    (error,) = payloads[0]["userErrors"]
    assert (error["code"], error["field"]) == ("NOT_FOUND", [field])
    assert all(payload == payloads[0] for payload in payloads)


# ---------------------------------------------------------------- who


def test_a_member_whose_api_access_was_removed_is_refused_until_it_is_granted_again(play: Play) -> None:
    member = play.alder.users["member"]
    play.rows.set("users", member, "api_access = false")
    assert refusals(play) == [("API_ACCESS_REMOVED", None)]
    play.rows.set("users", member, "api_access = true")
    play.generate("ci")


# ---------------------------------------------------------------- delivery


@pytest.mark.parametrize("method", ["VIEW_AND_COPY", "ENCRYPTED_FILE"])
def test_a_delivery_that_the_policy_does_not_allow_is_refused(play: Play, method: str) -> None:
    set_policy(play, f"{method.lower()}_allowed = false")
    delivery = {"method": method, "publicKey": keys.spki_pem(keys.public_key())}
    assert refusals(play, delivery=delivery) == [("NOT_ALLOWED_BY_POLICY", ["delivery", "method"])]


def encrypted(public_key: str | None) -> dict[str, Any]:
    return {"method": "ENCRYPTED_FILE", "publicKey": public_key}


def test_a_public_key_is_for_an_encrypted_file_and_needed_there(shared_play: Play) -> None:
    field = ["delivery", "publicKey"]
    assert refusals(shared_play, delivery={"method": "ENCRYPTED_FILE"}) == [("REQUIRED", field)]
    assert refusals(shared_play, delivery=encrypted(None)) == [("REQUIRED", field)]
    superfluous = {"method": "VIEW_AND_COPY", "publicKey": keys.spki_pem(keys.public_key())}
    assert refusals(shared_play, delivery=superfluous) == [("INVALID", field)]
    assert refusals(shared_play, delivery={"method": "VIEW_AND_COPY", "publicKey": ""}) == [("INVALID", field)]
    betrayed = {"method": "VIEW_AND_COPY", "publicKey": keys.private_pem()}
    assert refusals(shared_play, delivery=betrayed) == [("PRIVATE_KEY_SUPPLIED", field)]


@pytest.mark.parametrize("format_", ["CMS", "JWE"])
def test_a_public_key_that_can_not_be_used_is_refused_for_what_it_is(shared_play: Play, format_: str) -> None:
    expected = {
        "": "INVALID_PUBLIC_KEY",
        "no key": "INVALID_PUBLIC_KEY",
        "x" * 100_000: "INVALID_PUBLIC_KEY",
        "\0": "INVALID_PUBLIC_KEY",
        keys.spki_pem(keys.public_key(1024)): "PUBLIC_KEY_TOO_WEAK",
        keys.private_pem(): "PRIVATE_KEY_SUPPLIED",
    }
    with shared_play.rows.unchanged():
        for text, code in expected.items():
            fields = wanted(shared_play, delivery=encrypted(text) | {"format": format_})
            answered = shared_play.member.refusals("generateCredential", GENERATED, **fields)
            assert answered == [(code, ["delivery", "publicKey"])]


def test_the_policy_says_how_strong_a_public_key_must_be(play: Play) -> None:
    set_policy(play, "minimum_rsa_key_bits = 2049")
    delivery = encrypted(keys.spki_pem(keys.public_key(2048)))
    assert refusals(play, delivery=delivery) == [("PUBLIC_KEY_TOO_WEAK", ["delivery", "publicKey"])]


def test_a_private_key_pasted_by_mistake_is_not_repeated(shared_play: Play) -> None:
    private = keys.private_pem()
    fields = wanted(shared_play, delivery=encrypted(private))
    answer = repr(shared_play.member.mutate("generateCredential", GENERATED, **fields))
    assert "PRIVATE_KEY_SUPPLIED" in answer
    assert not [line for line in private.splitlines()[1:-1] if line in answer]


# ---------------------------------------------------------------- expiry


def end_of(play: Play, **fields: Any) -> str | None:
    end: str | None = play.generate("ci", **fields)["credential"]["expiresAt"]
    return end


@pytest.mark.parametrize(
    ("now", "months", "end"),
    [
        ("2026-01-31T12:00:00", 1, "2026-02-28T12:00:00Z"),
        ("2028-01-31T12:00:00", 1, "2028-02-29T12:00:00Z"),
        ("2028-02-29T23:59:59.999", 12, "2029-02-28T23:59:59Z"),
        ("2026-08-31T00:00:00", 6, "2027-02-28T00:00:00Z"),
        ("2026-10-31T00:00:00", 1, "2026-11-30T00:00:00Z"),
        ("2026-12-31T23:59:59", 2, "2027-02-28T23:59:59Z"),
        ("2026-02-28T00:00:00", 1, "2026-03-28T00:00:00Z"),
        ("2026-01-15T12:00:00", 1200, "2126-01-15T12:00:00Z"),
    ],
)
def test_months_are_calendar_months_in_utc_and_end_no_later_than_the_month_does(
    play: Play, now: str, months: int, end: str
) -> None:
    play.stay_signed_in()
    play.clock.now = play.clock.now.fromisoformat(f"{now}+00:00")
    assert end_of(play, expiry={"months": months}) == end


def test_the_policy_says_when_a_credential_ends_that_was_asked_for_without_an_end(play: Play) -> None:
    set_policy(play, "default_expiry_months = 1")
    assert end_of(play) == "2026-02-15T12:00:00Z"
    set_policy(play, "default_expiry_months = NULL")
    assert play.generate("other", expiry=None)["credential"]["expiresAt"] is None


def test_an_end_may_be_any_instant_within_as_many_months_as_can_be_asked_for(play: Play) -> None:
    assert end_of(play, expiry={"at": "2026-01-15T13:00:00.001+01:00"}) == "2026-01-15T12:00:00.001Z"
    last = "2126-01-15T12:00:00Z"
    assert play.generate("other", expiry={"at": last})["credential"]["expiresAt"] == last


def test_a_credential_never_expires_where_the_policy_allows_that(play: Play) -> None:
    never = {"never": True}
    assert refusals(play, expiry=never) == [("NOT_ALLOWED_BY_POLICY", ["expiry", "never"])]
    set_policy(play, "never_expires_allowed = true")
    assert end_of(play, expiry=never) is None


@pytest.mark.parametrize(
    ("expiry", "field"),
    [
        ({"months": 0}, "months"),
        ({"months": -1}, "months"),
        ({"months": 1201}, "months"),
        ({"months": 2**31 - 1}, "months"),
        ({"at": "2026-01-15T12:00:00Z"}, "at"),
        ({"at": "2026-01-15T12:00:00.000999Z"}, "at"),
        ({"at": "1970-01-01T00:00:00Z"}, "at"),
        ({"at": "2126-01-15T12:00:00.001Z"}, "at"),
        ({"at": "9998-12-31T23:59:59Z"}, "at"),
        ({"never": False}, "never"),
    ],
)
def test_an_end_that_is_none_is_refused(shared_play: Play, expiry: dict[str, Any], field: str) -> None:
    assert refusals(shared_play, expiry=expiry) == [("INVALID", ["expiry", field])]


@pytest.mark.parametrize(
    "expiry",
    [
        {},
        {"months": None},
        {"months": 1, "never": True},
        {"months": 1, "at": None},
        {"months": 1.5},
        {"months": 2**31},
        {"months": "1"},
        {"at": "tomorrow"},
        {"at": "2026-01-15"},
        {"at": "2027-01-15T12:00:00"},
        {"at": "2027-02-30T12:00:00Z"},
        {"at": "9999-12-31T00:00:00Z"},
        {"at": 1800000000},
        {"never": "yes"},
        "12",
        12,
    ],
    ids=repr,
)
def test_an_end_that_is_written_wrongly_is_refused_before_anything_is_run(shared_play: Play, expiry: Any) -> None:
    document = "mutation ($input: GenerateCredentialInput!) { generateCredential(input: $input) { credential { id } } }"
    with shared_play.rows.unchanged():
        code = shared_play.member.error_code(document, input=wanted(shared_play, expiry=expiry))
    assert code == "BAD_USER_INPUT"
