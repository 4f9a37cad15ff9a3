"""The formats are documented as they are."""

import json
import re
from base64 import b64encode, urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from auth.crypto.access_token import issue_access_token, public_jwks
from auth.crypto.credential_csv import credential_csv
from auth.crypto.credential_format import generate_api_secret, is_api_key, is_api_secret, mask_api_key
from auth.crypto.envelopes import EnvelopeFormat, decrypt_command, seal_cms, seal_jwe
from auth.crypto.keyring import SymmetricKey, generate_keyring, read_keyring
from auth.crypto.public_keys import RecipientKey, read_public_key
from auth.crypto.secret import Secret
from auth.crypto.secret_hash import hash_secret
from auth.opaque_token import TokenPurpose
from resolvers.webhook_delivery import sign
from resolvers.webhook_events import WebhookEventType
from tests.auth.crypto.readers import needs_openssl, openssl_opens
from tests.docs.markdown import blocks, in_code, page, rows, section
from tests.support.server import START

FORMATS = page("docs/formats.md")
KEY_AND_SECRET = section(FORMATS, "## API key and secret")
KEY = SymmetricKey("any", bytes(range(32)))
PRIVATE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def recipient() -> RecipientKey:
    pem = PRIVATE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return read_public_key(pem.decode())


def defined(text: str) -> dict[str, Any]:
    """What the one Python block in a text defines."""
    (block,) = blocks(text, "python")
    names: dict[str, Any] = {}
    exec(block.text, names)
    return names


def test_the_examples_are_a_key_and_a_secret() -> None:
    key, secret = re.findall(r"`(sealkey_(?:key|secret)_\w+)`", KEY_AND_SECRET)
    assert is_api_key(key)
    assert is_api_secret(secret)
    assert f"`{mask_api_key(key)}`" in KEY_AND_SECRET


def test_a_secret_has_the_checksum_and_the_pattern() -> None:
    has_right_checksum = defined(KEY_AND_SECRET)["has_right_checksum"]
    (pattern,) = [text for text in in_code(KEY_AND_SECRET) if text.startswith("[a-z]")]
    for prefix in ("sealkey", "a", "b123456789012345"):
        secret = generate_api_secret(prefix).reveal()
        assert re.fullmatch(pattern, secret)
        assert has_right_checksum(secret)
        assert not has_right_checksum(secret[:-10] + ("A" if secret[-10] != "A" else "B") + secret[-9:])


def test_what_is_kept_is_the_hash() -> None:
    kept_hash = defined(section(FORMATS, "## What is kept of a secret"))["kept_hash"]
    assert kept_hash(KEY.key, "key", "secret") == hash_secret(KEY, "key", Secret("secret"))


def test_the_csv_is_as_shown() -> None:
    (shown,) = blocks(section(FORMATS, "## CSV"), "text")
    file = credential_csv("sealkey_key_…", "sealkey_secret_…")
    assert file.decode() == shown.text.replace("\n", "\r\n")


def test_the_jwe_has_the_header() -> None:
    header = seal_jwe(b"content", recipient()).split(b".")[0]
    shown = next(text for text in in_code(section(FORMATS, "### JWE")) if text.startswith('{"'))
    assert json.loads(urlsafe_b64decode(header + b"=" * (-len(header) % 4))) == json.loads(shown)


def test_the_commands_are_those_of_the_answer() -> None:
    for heading, format_ in (("### CMS", EnvelopeFormat.CMS), ("### sealkey decrypt", EnvelopeFormat.JWE)):
        (block,) = blocks(section(FORMATS, heading), "sh")
        assert block.text.startswith(decrypt_command(format_, "name.enc"))


@needs_openssl
def test_openssl_exits_with_the_status(tmp_path: Path) -> None:
    key = tmp_path / "private.pem"
    key.write_bytes(PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    lines = seal_cms(b"content", recipient()).decode().splitlines()
    for file, first in (("good", lines[-2][0]), ("bad", "A" if lines[-2][0] != "A" else "B")):
        (tmp_path / file).write_text("\n".join([*lines[:-2], first + lines[-2][1:], lines[-1], ""]))
    statuses = [openssl_opens(tmp_path / file, key).returncode for file in ("good", "bad")]
    assert statuses == [0, 4]
    assert "and 4 for one that was altered" in section(FORMATS, "### CMS")


def test_an_access_token_has_the_claims() -> None:
    keyring = read_keyring(generate_keyring())
    issued = issue_access_token(
        keyring.signing_key(START),
        issuer="https://keys.example",
        subject="sealkey_key_0",
        scope="certificates",
        now=datetime(2026, 1, 15, tzinfo=UTC),
        lifetime=timedelta(seconds=600),
        ends_at=datetime(2027, 1, 15, tzinfo=UTC),
    )
    header, claims, _ = (urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in issued.token.reveal().split("."))
    text = section(FORMATS, "## Access tokens")
    assert set(json.loads(claims)) == {in_code(row[0])[0] for row in rows(text, "claim", "value")}
    assert set(json.loads(header)) == {"alg", "typ", "kid"}
    assert json.loads(header)["typ"] in in_code(text)


def test_every_opaque_token_is_listed() -> None:
    table = rows(section(FORMATS, "## Opaque tokens"), "purpose", "what it is", "sent as", "ends")
    assert [in_code(row[0])[0] for row in table] == list(TokenPurpose)


def test_the_jwks_has_the_members() -> None:
    (key,) = public_jwks(read_keyring(generate_keyring()), START)["keys"]
    text = section(FORMATS, "## Access tokens").partition("`/.well-known/jwks.json`")[2]
    assert set(key) <= set(in_code(text))
    assert {key["use"], key["alg"]} <= set(in_code(text))


def test_a_webhook_is_signed_as_shown() -> None:
    text = section(FORMATS, "## Webhooks")
    secret = "whsec_" + b64encode(bytes(range(32))).decode()
    assert defined(text)["signature"](secret, "msg_1", "1700000000", b"{}") == sign(
        Secret(secret), "msg_1", "1700000000", b"{}"
    )
    assert set(WebhookEventType) <= set(in_code(text))


def test_the_key_file_has_the_keys() -> None:
    table = rows(section(FORMATS, "## The server's own keys"), "`kid`", "`kty`", "for")
    keys = json.loads(generate_keyring())["keys"]
    assert [[key["kid"], key["kty"]] for key in keys] == [[in_code(row[0])[0], in_code(row[1])[0]] for row in table]
