"""Endpoints are made, listed and removed by those who may, and their secrets are shown once."""

import io
import json
from base64 import b64decode, urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from auth.crypto.keyring import Keyring, read_keyring
from models.ids import parse_global_id
from resolvers.webhooks import sealing_context
from tests.support.rows import row_id
from tests.support.server import Client
from tests.webhooks.conftest import EVERY_TYPE, Endpoint, Hooks

CREATED = "endpoint { id url eventTypes account { id } createdAt } signingSecret"
LISTED = "{ webhookEndpoints { totalCount nodes { id url eventTypes } } }"
NODE = "query ($id: ID!) { node(id: $id) { ... on WebhookEndpoint { url } } }"
URL = "https://hooks.example/sealkey"
MISSING = "whk_" + "0" * 32


def create(client: Client, url: str = URL, **fields: Any) -> Any:
    return client.do("createWebhookEndpoint", CREATED, url=url, eventTypes=["CREDENTIAL_REVOKED"], **fields)


def refused(client: Client, **fields: Any) -> list[tuple[str, list[str] | None]]:
    wanted = {"url": URL, "eventTypes": ["CREDENTIAL_REVOKED"], **fields}
    return client.refusals("createWebhookEndpoint", CREATED, **wanted)


def listed(client: Client) -> list[str]:
    return [node["id"] for node in client.data(LISTED)["nodes"]]


def of_row(hooks: Hooks, endpoint_id: str, columns: str) -> list[tuple[Any, ...]]:
    return hooks.rows.execute(f"SELECT {columns} FROM webhook_endpoints WHERE id = '{row_id(endpoint_id)}'")


def keyring(hooks: Hooks) -> Keyring:
    return read_keyring((hooks.play.server.data_dir / "server-keys.json").read_bytes())


def test_an_endpoint_is_made_listed_and_removed(hooks: Hooks) -> None:
    administrator = hooks.play.administrator
    made = create(administrator)
    assert (
        made["endpoint"].items()
        >= {
            "url": URL,
            "eventTypes": ["CREDENTIAL_REVOKED"],
            "account": {"id": hooks.play.alder.id},
            "createdAt": "2026-01-15T12:00:00Z",
        }.items()
    )
    endpoint_id = made["endpoint"]["id"]
    assert administrator.data(LISTED) == {
        "totalCount": 1,
        "nodes": [{"id": endpoint_id, "url": URL, "eventTypes": ["CREDENTIAL_REVOKED"]}],
    }
    assert administrator.data(NODE, id=endpoint_id) == {"url": URL}

    administrator.do("removeWebhookEndpoint", "", endpointId=endpoint_id)
    assert listed(administrator) == []
    assert administrator.data(NODE, id=endpoint_id) is None
    assert administrator.refusals("removeWebhookEndpoint", "", endpointId=endpoint_id) == [
        ("NOT_FOUND", ["endpointId"])
    ]


def test_the_secret_is_256_random_bits_and_another_for_each(hooks: Hooks) -> None:
    secrets = [create(hooks.play.administrator)["signingSecret"] for _ in range(2)]
    assert len({*secrets}) == 2
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert len(b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


def test_the_secret_is_shown_once_and_kept_sealed(hooks: Hooks, logs: io.StringIO) -> None:
    made = create(hooks.play.administrator)
    secret = made["signingSecret"]
    raw = b64decode(secret.removeprefix("whsec_"))
    everything = str(hooks.rows.dump()) + str(hooks.play.administrator.data(LISTED)) + logs.getvalue()
    assert "/graphql" in everything
    for form in (secret, secret.removeprefix("whsec_"), raw.hex(), repr(raw)[2:-1]):
        assert form not in everything

    ((sealed, key_id),) = hooks.rows.execute("SELECT sealed_secret, sealing_key_id FROM webhook_endpoints")
    parsed = parse_global_id(made["endpoint"]["id"])
    assert parsed
    key = keyring(hooks).symmetric_keys[key_id]
    assert key.open(sealed, sealing_context(parsed[1])).decode() == secret


def test_a_sealed_secret_opens_in_its_own_row_and_under_its_own_key_only(hooks: Hooks) -> None:
    ids = [create(hooks.play.administrator)["endpoint"]["id"] for _ in range(2)]
    own, other = (parsed[1] for id_ in ids if (parsed := parse_global_id(id_)))
    ((sealed, key_id),) = of_row(hooks, ids[0], "sealed_secret, sealing_key_id")
    assert key_id == "sealing-1"
    keys = keyring(hooks).symmetric_keys
    assert keys[key_id].open(sealed, sealing_context(own))
    with pytest.raises(InvalidTag):
        keys[key_id].open(sealed, sealing_context(other))
    for id_ in keys.keys() - {key_id}:
        with pytest.raises(InvalidTag):
            keys[id_].open(sealed, sealing_context(own))


def test_an_endpoint_whose_sealed_secret_was_altered_is_sent_nothing(hooks: Hooks) -> None:
    altered, whole = hooks.subscribe(), hooks.subscribe()
    ((sealed,),) = of_row(hooks, altered.id, "sealed_secret")
    other = ("A" if sealed[0] != "A" else "B") + sealed[1:]
    hooks.rows.set("webhook_endpoints", altered.id, f"sealed_secret = '{other}'")
    hooks.play.generate("ci")

    assert [message.path for message in hooks.messages()] == [whole.path]
    assert hooks.audit(altered, "webhook.failed") == ["credential.generated to 127.0.0.1, attempt 1: InvalidTag"]


def test_the_path_of_an_address_is_shown_to_those_who_manage_it_alone(hooks: Hooks, logs: io.StringIO) -> None:
    """Many receivers have nothing but a secret path to know their senders by."""
    secret_path = "T0123456/B0123456/t0psecret"
    endpoint = hooks.subscribe(url=hooks.receiver.url(f"/{secret_path}"))
    hooks.receiver.answer = lambda _: 500
    hooks.play.generate("ci")
    hooks.play.server.keep_house()
    hooks.play.clock.advance(seconds=5)
    hooks.play.server.keep_house()
    hooks.play.administrator.do("removeWebhookEndpoint", "", endpointId=endpoint.id)

    assert len(hooks.receiver.take()) == 2
    assert "t0psecret" not in str(hooks.rows.execute("SELECT summary FROM audit_events"))
    assert "t0psecret" not in logs.getvalue()


def test_what_is_asked_for_wrongly_is_refused_with_its_field_and_nothing_is_made(hooks: Hooks) -> None:
    play = hooks.play
    with hooks.rows.unchanged():
        assert refused(play.administrator, url="hooks.example") == [("INVALID", ["url"])]
        assert refused(play.administrator, url="https://169.254.169.254/latest") == [("INVALID", ["url"])]
        assert refused(play.administrator, url="https://[::1") == [("INVALID", ["url"])]
        assert refused(play.administrator, eventTypes=[]) == [("REQUIRED", ["eventTypes"])]
        assert refused(play.administrator, accountId=play.birch.id) == [("NOT_FOUND", ["accountId"])]
        assert refused(play.operator) == [("REQUIRED", ["accountId"])]
        assert refused(play.operator, accountId=MISSING) == [("NOT_FOUND", ["accountId"])]
        for id_ in (MISSING, play.alder.id, "nonsense"):
            told = play.administrator.refusals("removeWebhookEndpoint", "", endpointId=id_)
            assert told == [("NOT_FOUND", ["endpointId"])]


def test_what_is_refused_is_not_repeated(hooks: Hooks) -> None:
    url = "https://user:pa55word@hooks.example/"
    payload = hooks.play.administrator.mutate(
        "createWebhookEndpoint", CREATED, url=url, eventTypes=["CREDENTIAL_REVOKED"]
    )
    assert payload["userErrors"]
    assert "pa55word" not in json.dumps(payload)


def test_the_same_type_named_twice_is_told_once(hooks: Hooks) -> None:
    hooks.subscribe("CREDENTIAL_GENERATED", "CREDENTIAL_GENERATED")
    hooks.play.generate("ci")
    assert hooks.types() == ["credential.generated"]


def test_an_account_has_ten_endpoints_at_most_also_if_all_are_asked_for_at_once(hooks: Hooks) -> None:
    administrator = hooks.play.administrator

    def attempt(_: int) -> Any:
        return administrator.mutate("createWebhookEndpoint", CREATED, url=URL, eventTypes=EVERY_TYPE)

    with ThreadPoolExecutor(13) as pool:
        answers = list(pool.map(attempt, range(13)))
    errors = [error for answer in answers for error in answer["userErrors"]]
    assert [(error["code"], error["field"]) for error in errors] == [("LIMIT_REACHED", None)] * 3
    assert len(listed(administrator)) == 10
    # Another account's are its own, and a removed one makes room.
    create(hooks.play.other_administrator)
    administrator.do("removeWebhookEndpoint", "", endpointId=listed(administrator)[0])
    create(administrator)


def document(mutation: str, input_type: str) -> str:
    return f"mutation ($input: {input_type}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}"


def test_only_administrators_and_operators_manage_endpoints_and_auditors_see_them(hooks: Hooks) -> None:
    play = hooks.play
    endpoint = hooks.subscribe()
    create_document = document("createWebhookEndpoint", "CreateWebhookEndpointInput")
    remove_document = document("removeWebhookEndpoint", "RemoveWebhookEndpointInput")
    new = {"url": URL, "eventTypes": ["CREDENTIAL_REVOKED"]}
    denied = [(play.nobody, "UNAUTHENTICATED"), (play.member, "FORBIDDEN"), (play.auditor, "FORBIDDEN")]
    for client, code in denied:
        assert client.error_code(create_document, input=new) == code
        assert client.error_code(remove_document, input={"endpointId": endpoint.id}) == code
    assert play.member.error_code(LISTED) == "FORBIDDEN"
    assert play.member.data(NODE, id=endpoint.id) is None
    for client in (play.administrator, play.auditor):
        assert listed(client) == [endpoint.id]


def test_another_accounts_endpoints_are_not_there(hooks: Hooks) -> None:
    play = hooks.play
    endpoint = hooks.subscribe()
    other = play.other_administrator
    assert listed(other) == []
    assert other.data(NODE, id=endpoint.id) is None
    with hooks.rows.unchanged():
        told = other.refusals("removeWebhookEndpoint", "", endpointId=endpoint.id)
        assert (
            told == other.refusals("removeWebhookEndpoint", "", endpointId=MISSING) == [("NOT_FOUND", ["endpointId"])]
        )


def test_operators_see_and_remove_those_of_every_account(hooks: Hooks) -> None:
    play = hooks.play
    own = create(play.operator, accountId=play.alder.id)["endpoint"]["id"]
    other = create(play.other_administrator)["endpoint"]["id"]
    assert {*listed(play.operator)} == {own, other}
    assert listed(play.administrator) == [own]
    play.operator.do("removeWebhookEndpoint", "", endpointId=other)
    assert listed(play.other_administrator) == []


def test_making_and_removing_are_in_the_accounts_audit_log_by_who_did_it(hooks: Hooks) -> None:
    endpoint_id = create(hooks.play.operator, accountId=hooks.play.alder.id)["endpoint"]["id"]
    hooks.play.administrator.do("removeWebhookEndpoint", "", endpointId=endpoint_id)
    assert hooks.audit(Endpoint(endpoint_id, "", "")) == [
        "The webhook endpoint hooks.example was created (by the provider)",
        "The webhook endpoint hooks.example was removed",
    ]


def test_the_database_does_without_the_servers_keys(hooks: Hooks) -> None:
    """No key of the server's stands in the database beside what it seals."""
    hooks.subscribe()
    dump = str(hooks.rows.dump())
    for key in json.loads((hooks.play.server.data_dir / "server-keys.json").read_bytes())["keys"]:
        for name in {"k", "d"} & key.keys():
            text = key[name]
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            assert text not in dump
            assert raw.hex() not in dump
