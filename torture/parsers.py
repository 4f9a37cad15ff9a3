"""What reads what comes from outside, each with good inputs and the one error that it may raise."""

import csv
import io
import json
from base64 import b64encode
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.serialization import PrivateFormat
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from auth.crypto.access_token import issue_access_token, read_access_token
from auth.crypto.credential_csv import credential_csv
from auth.crypto.credential_format import generate_api_key, generate_api_secret, is_api_key, is_api_secret
from auth.crypto.envelopes import (
    EnvelopeUnreadable,
    PrivateKeyUnreadable,
    open_envelope,
    read_private_key,
    seal_cms,
    seal_jwe,
)
from auth.crypto.idempotency import AnswerUnreadable, IdempotencyKey
from auth.crypto.keyring import KeyringUnreadable, generate_keyring, read_keyring
from auth.crypto.public_keys import PublicKeyRefused, read_public_key
from auth.crypto.secret import Secret
from auth.opaque_token import hash_sent_token, hash_token, purpose_of
from models.credential import Credential
from models.ids import Kind, global_id, parse_global_id
from resolvers.errors import BadArgument, Refused
from resolvers.networks import checked_networks, is_address_allowed
from resolvers.paging import Order, _decode, _Mark, _write
from schema.api import build_api
from schema.manifest import ManifestUnusable, read_manifest
from schema.scalars import parse_instant
from server.client_address import client_address
from server.credentials_in_headers import basic, bearer
from server.graphql_request import BadRequest, is_for_events, media_type_for, operation_of
from server.identification import bearer_token
from tests.auth.crypto import keys

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
_ID = UUID("019bc1a0-0000-7000-8000-000000000001")
_SECRET = b"what only the right key opens"


@dataclass(frozen=True)
class Parser:
    """`read` answers what came of an input, for what is new to be told; it checks what must hold of it besides.

    share: how many of a thousand cases it gets.
    """

    name: str
    share: int
    seeds: Sequence[bytes]
    read: Callable[[bytes], Hashable]
    raises: tuple[type[Exception], ...] = ()


def text(data: bytes) -> str:
    """Also with lone surrogates in it, which JSON can bring."""
    return data.decode("utf-8", "surrogateescape")


def parsers() -> list[Parser]:
    return [
        Parser("public keys", 140, [form().encode() for form in keys.FORMS.values()], _public_key, (PublicKeyRefused,)),
        Parser("private keys for public ones", 30, _private_pems(), _private_as_public, (PublicKeyRefused,)),
        Parser("API keys and secrets", 120, _credential_texts(), _credential_text),
        Parser("global ids", 100, [global_id(kind, _ID).encode() for kind in Kind], _global_id),
        Parser("cursors", 100, _cursors(), _cursor, (BadArgument,)),
        Parser(
            "forwarded addresses", 90, [b"203.0.113.7, 10.0.0.2", b"2001:db8::1", b"::ffff:10.0.0.1,10.0.0.1"], _hops
        ),
        Parser("Authorization headers", 100, _authorizations(), _authorization),
        Parser("tokens", 50, [f"sealkey_{kind}_{'x' * 43}".encode() for kind in ("session", "pat", "gateway")], _token),
        Parser("envelopes", 30, _envelopes(), _envelope, (EnvelopeUnreadable,)),
        Parser("private keys", 10, _private_pems(), _private_key, (PrivateKeyUnreadable,)),
        Parser("access tokens", 40, [_access_token()], _read_access_token),
        Parser("the key file", 20, [_KEYS], _keyring, (KeyringUnreadable,)),
        Parser("trusted documents", 10, _MANIFESTS, _manifest, (ManifestUnusable,)),
        Parser("instants", 60, [b"2026-11-22T09:30:00Z", b"2024-02-29t23:59:60.123+05:30"], _instant, (ValueError,)),
        Parser("networks", 60, [b"192.0.2.0/24", b"2001:db8::/32", b"::ffff:192.0.2.0/120"], _networks, (Refused,)),
        Parser("operations", 60, _OPERATIONS, _operation, (BadRequest,)),
        Parser("Accept headers", 60, _ACCEPTED, _accept, (BadRequest,)),
        Parser("cells of CSV", 40, [b"=1+1", b"-2", b"@x", b"\t=", b'"a","b"', b"a\r\nb"], _cells),
        Parser("kept answers", 20, [_IDEMPOTENCY.seal(b"an answer").encode()], _kept_answer, (AnswerUnreadable,)),
    ]


def _public_key(data: bytes) -> Hashable:
    found = read_public_key(text(data))
    assert found.bits >= 2048
    return found.bits > 2048


def _private_as_public(data: bytes) -> Hashable:
    read_public_key(text(data))
    raise AssertionError("a private key was taken for a public one")


def _private_pems() -> list[bytes]:
    return [keys.private_pem(form).encode() for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)]


def _credential_texts() -> list[bytes]:
    return [generate_api_key("sealkey").encode(), generate_api_secret("sealkey").reveal().encode()]


def _credential_text(data: bytes) -> Hashable:
    found = is_api_key(text(data)), is_api_secret(text(data))
    assert not all(found)
    return found


def _global_id(data: bytes) -> Hashable:
    found = parse_global_id(text(data))
    assert found is None or global_id(*found) == text(data)
    return found and found[0]


_ORDERS = [Order("id"), Order("name"), Order("expires_at"), Order("last_used_at", descending=True)]


def _cursors() -> list[bytes]:
    marks = [("id", None), ("name", "ci"), ("expires_at", NOW), ("last_used_at", NOW)]
    return [_write("credentials", column, _Mark(value, _ID)).encode() for column, value in marks]


def _cursor(data: bytes) -> Hashable:
    found, refused = 0, None
    for order in _ORDERS:
        try:
            mark = _decode(Credential, order, text(data))
            assert _write("credentials", order.column, mark) == text(data)
            found += 1
        except BadArgument as error:
            refused = error
    if refused and not found:
        raise refused
    return found


_PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


def _hops(data: bytes) -> Hashable:
    headers = [(b"x-forwarded-for", line) for line in data.split(b"\n")]
    found = client_address(HTTPConnection({"type": "http", "client": ("10.0.0.1", 1), "headers": headers}), _PROXIES)
    assert found is not None
    return str(ip_address(found)) == found, ip_address(found).version


def _authorizations() -> list[bytes]:
    return [
        b"Basic " + b64encode(b":".join(_credential_texts())),
        b"Bearer sealkey_session_" + b"x" * 43,
        b"Basic Og==",
    ]


def _authorization(data: bytes) -> Hashable:
    headers = Headers(raw=[(b"authorization", data)])
    found = basic(headers), basic(headers, form_encoded=True), bearer(headers)
    bearer_token(text(data))
    return tuple(each is None for each in found)


def _token(data: bytes) -> Hashable:
    token = Secret(text(data))
    assert hash_token(token) == hash_sent_token(data)
    return purpose_of(token)


_PRIVATE_KEY = keys.private_key()


def _envelopes() -> list[bytes]:
    return [seal(_SECRET, keys.recipient()) for seal in (seal_cms, seal_jwe)]


def _envelope(data: bytes) -> Hashable:
    assert open_envelope(data, _PRIVATE_KEY) == _SECRET, "it was altered, and opened"
    return True


def _private_key(data: bytes) -> Hashable:
    return read_private_key(data).key_size


_KEYS = generate_keyring()
_KEYRING = read_keyring(_KEYS)
_ISSUER = "https://sealkey.example"


def _access_token() -> bytes:
    ten_minutes = timedelta(minutes=10)
    key = _KEYRING.signing_key(NOW)
    issued = issue_access_token(
        key, issuer=_ISSUER, subject="cred_1", scope="tls", now=NOW, lifetime=ten_minutes, ends_at=NOW + ten_minutes
    )
    return issued.token.reveal().encode()


def _read_access_token(data: bytes) -> Hashable:
    found = read_access_token(_KEYRING, Secret(text(data)), issuer=_ISSUER, now=NOW)
    assert found is None or found.client_id == "cred_1"
    return found is None


def _keyring(data: bytes) -> Hashable:
    return len(read_keyring(data).signing_keys)


_EXECUTOR = build_api().executor
_DOCUMENT = "{ viewer { role } }"
_MANIFESTS = [
    json.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": [
        {"id": "a", "name": "A", "type": "query", "body": _DOCUMENT}]}).encode(),
    json.dumps({"a": _DOCUMENT}).encode(),
]  # fmt: skip


def _manifest(data: bytes) -> Hashable:
    path = Path(gettempdir()) / "sealkey-manifest.json"
    path.write_bytes(data)
    return len(read_manifest(path, _EXECUTOR))


def _instant(data: bytes) -> Hashable:
    return parse_instant(text(data)).year // 1000


def _networks(data: bytes) -> Hashable:
    normal = checked_networks(text(data).split(" "), "networks")
    networks = [ip_network(each) for each in normal.split()]
    return is_address_allowed(networks, text(data)), is_address_allowed(networks, "192.0.2.1")


_OPERATIONS = [
    orjson.dumps({"query": _DOCUMENT, "variables": {"a": 1}, "operationName": "A", "extensions": {}}),
    orjson.dumps({"documentId": "sha256:abc"}),
    orjson.dumps({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "a" * 64}}}),
]


def _operation(data: bytes) -> Hashable:
    try:
        sent: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return "no JSON"
    return operation_of(sent).query is None


_ACCEPTED = [
    b"application/json",
    b"application/graphql-response+json; charset=utf-8, application/json; q=0.9",
    b"text/event-stream, */*;q=0.1",
]


def _accept(data: bytes) -> Hashable:
    accept = data.decode("latin-1")
    return is_for_events(accept), media_type_for(accept)


def _cells(data: bytes) -> Hashable:
    given = data.decode(errors="replace")
    _, (cell, _) = csv.reader(io.StringIO(credential_csv(given, "x").decode(), newline=""))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell in {given, f"'{given}"}
    return cell == given


_IDEMPOTENCY = IdempotencyKey(Secret("x" * 22), "somebody generate")


def _kept_answer(data: bytes) -> Hashable:
    assert _IDEMPOTENCY.open(text(data)) == b"an answer"
    return True
