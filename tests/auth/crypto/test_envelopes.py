"""Envelopes, sealed and opened by this server's own code."""

import json
import shlex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from pyasn1_modules import rfc4055, rfc5084, rfc5652

from auth.crypto.envelopes import EnvelopeFormat, EnvelopeUnreadable, decrypt_command, open_envelope
from auth.crypto.envelopes.primitives import OAEP_SHA256, open_sealed
from auth.crypto.public_keys import read_public_key
from tests.auth.crypto import envelopes, keys
from tests.auth.crypto.der_writer import rsa_spki
from tests.auth.crypto.envelopes import CONTENT, SEAL, jwe_of, jwe_segments

FORMS = pytest.mark.parametrize("form", EnvelopeFormat)


def sealed(form: EnvelopeFormat, content: bytes = CONTENT) -> bytes:
    return SEAL[form](content, keys.recipient())


def opened(envelope: bytes) -> bytes:
    return open_envelope(envelope, keys.private_key())


def refusal(envelope: bytes) -> str:
    with pytest.raises(EnvelopeUnreadable) as refused:
        opened(envelope)
    return str(refused.value)


@FORMS
@pytest.mark.parametrize("content", [b"", b"x", CONTENT, bytes(range(256)) * 100], ids=len)
def test_what_is_sealed_can_be_opened(form: EnvelopeFormat, content: bytes) -> None:
    assert opened(sealed(form, content)) == content


@FORMS
def test_white_space_around_and_crlf_do_no_harm(form: EnvelopeFormat) -> None:
    assert opened(b"\r\n " + sealed(form).replace(b"\n", b"\r\n") + b"\n\n") == CONTENT


@FORMS
def test_the_largest_key_can_be_sealed_to(form: EnvelopeFormat) -> None:
    recipient = read_public_key(keys.base64(rsa_spki(keys.modulus(16_384), 65_537)))
    assert len(SEAL[form](CONTENT, recipient)) > 2048


@FORMS
def test_an_envelope_is_ascii_in_lines_that_mail_takes_or_in_one(form: EnvelopeFormat) -> None:
    lines = sealed(form).decode("ascii").split("\n")
    assert (form is EnvelopeFormat.JWE and len(lines) == 1) or max(map(len, lines)) == 64


def test_nothing_secret_is_ever_used_twice_in_cms() -> None:
    first, second = (envelopes.secret_parts(sealed(EnvelopeFormat.CMS)) for _ in range(2))
    assert not set(first.values()) & set(second.values())
    assert [len(first[name]) for name in first] == [256, 12, len(CONTENT), 16]


def test_nothing_secret_is_ever_used_twice_in_jwe() -> None:
    header, *first = jwe_segments(sealed(EnvelopeFormat.JWE))
    same_header, *second = jwe_segments(sealed(EnvelopeFormat.JWE))
    assert json.loads(header) == {"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "text/csv"}
    assert header == same_header
    assert not set(first) & set(second)
    assert [len(segment) for segment in first] == [256, 12, len(CONTENT), 16]


def content_key(envelope: bytes) -> bytes:
    """Of either form, taken out of it with the private key."""
    is_jwe = envelope.startswith(b"ey")
    encrypted = jwe_segments(envelope)[1] if is_jwe else envelopes.secret_parts(envelope)["encrypted key"]
    return keys.private_key().decrypt(encrypted, OAEP_SHA256)


@FORMS
def test_each_content_is_sealed_under_a_new_key_of_256_bits(form: EnvelopeFormat) -> None:
    content_keys = {content_key(sealed(form)) for _ in range(3)}
    assert [len(key) * 8 for key in content_keys] == [256, 256, 256]


def test_the_fields_of_a_cms_envelope_are_those_of_the_standards() -> None:
    body = envelopes.auth_enveloped_data(sealed(EnvelopeFormat.CMS))
    (recipient,) = body["recipientInfos"]
    content = body["authEncryptedContentInfo"]
    assert (body["version"], recipient["ktri"]["version"]) == (0, 2)
    assert recipient["ktri"]["rid"]["subjectKeyIdentifier"] == keys.recipient().subject_key_identifier
    assert recipient["ktri"]["keyEncryptionAlgorithm"]["algorithm"] == rfc4055.id_RSAES_OAEP
    assert content["contentType"] == rfc5652.id_data
    assert content["contentEncryptionAlgorithm"]["algorithm"] == rfc5084.id_aes256_GCM
    assert content["contentEncryptionAlgorithm"]["parameters"]["aes-ICVlen"] == 16
    assert not body["authAttrs"].isValue
    assert not body["unauthAttrs"].isValue


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_cms_envelope_with_any_byte_altered_is_refused(mask: int) -> None:
    der = envelopes.cms_der(sealed(EnvelopeFormat.CMS))
    for at in range(len(der)):
        refusal(envelopes.cms_pem(envelopes.flipped(der, at, mask)))


def test_a_jwe_envelope_with_any_byte_altered_is_refused() -> None:
    for altered in envelopes.damaged_jwe(sealed(EnvelopeFormat.JWE)):
        refusal(altered)


def test_a_jwe_envelope_with_any_character_altered_is_refused() -> None:
    envelope = sealed(EnvelopeFormat.JWE)
    for at in range(len(envelope)):
        other = b"B" if envelope[at : at + 1] == b"A" else b"A"
        refusal(envelope[:at] + other + envelope[at + 1 :])


@FORMS
def test_a_cut_or_lengthened_envelope_is_refused(form: EnvelopeFormat) -> None:
    envelope = sealed(form)
    for text in (envelope[:-40], envelope[40:], envelope[: len(envelope) // 2], envelope + b"AAAA", envelope * 2):
        refusal(text)


def test_the_wrong_key_is_told_from_damage_where_the_envelope_says_whose_it_is() -> None:
    with pytest.raises(EnvelopeUnreadable, match="addressed to another key"):
        open_envelope(sealed(EnvelopeFormat.CMS), keys.private_key(name="Kim"))


def test_the_wrong_key_is_not_told_from_damage_where_it_cannot_be() -> None:
    with pytest.raises(EnvelopeUnreadable, match="Either it was sealed to another key, or it was altered"):
        open_envelope(sealed(EnvelopeFormat.JWE), keys.private_key(name="Kim"))


@FORMS
def test_a_key_of_another_size_is_a_wrong_key(form: EnvelopeFormat) -> None:
    with pytest.raises(EnvelopeUnreadable, match="another key"):
        open_envelope(sealed(form), keys.private_key(3072))


def test_an_altered_content_is_told_from_a_wrong_key() -> None:
    *others, ciphertext, tag = jwe_segments(sealed(EnvelopeFormat.JWE))
    assert "its tag does not match" in refusal(jwe_of([*others, ciphertext + b"x", tag]))


def test_a_short_tag_or_nonce_is_refused_even_where_it_fits() -> None:
    header, key, nonce, ciphertext, tag = jwe_segments(sealed(EnvelopeFormat.JWE))
    assert "wrong length" in refusal(jwe_of([header, key, nonce, ciphertext, tag[:12]]))
    assert "wrong length" in refusal(jwe_of([header, key, nonce[:8], ciphertext, tag]))


def test_a_content_key_of_another_length_is_refused() -> None:
    encrypted_key = keys.public_key().encrypt(b"k" * 16, OAEP_SHA256)
    with pytest.raises(EnvelopeUnreadable, match="content key has a wrong length"):
        open_sealed(
            keys.private_key(),
            encrypted_key=encrypted_key,
            nonce=bytes(12),
            ciphertext=b"",
            tag=bytes(16),
            associated_data=None,
        )


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RSA-OAEP-256", "enc": "A256GCM"},
        {"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "text/csv", "zip": "DEF"},
        {"alg": "RSA-OAEP-256", "enc": "A128CBC-HS256", "cty": "text/csv"},
        {"alg": "RSA-OAEP", "enc": "A256GCM", "cty": "text/csv"},
    ],
    ids=lambda header: "-".join(header.values()).replace("/", " "),
)
def test_a_sound_jwe_with_another_header_is_refused(header: dict[str, str]) -> None:
    jwe = JWE(CONTENT, json.dumps(header), recipient=JWK.from_pyca(keys.public_key()))
    assert "header" in refusal(jwe.serialize(compact=True).encode())


@pytest.mark.parametrize(
    ("text", "reason"),
    {
        b"": "neither",
        b"\xff\xfe": "neither",
        b"API Key,API Secret": "neither",
        b"A" * (1024 * 1024 + 1): "too large",
        b"a.b.c": "5 parts",
        b"a.b.c.d.e": "not base64url",
        b"e30.AA.AA.AA.AA": "header",
        b"-----BEGIN CMS-----": "not whole",
        b"-----BEGIN CMS-----\n*\n-----END CMS-----": "not base64",
        b"-----BEGIN CMS-----\nMAA=\n-----END CMS-----": "not made by Sealkey",
        b"-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----": "not whole",
    }.items(),
)
def test_what_is_no_envelope_is_refused_with_a_reason(text: bytes, reason: str) -> None:
    assert reason in refusal(text)


@settings(deadline=None)
@given(st.binary() | st.binary().map(envelopes.cms_pem) | st.lists(st.binary(), min_size=5, max_size=5).map(jwe_of))
@example(jwe_of([b"[" * 10_000, b"", b"", b"", b""]))
def test_any_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    refusal(data)


def test_the_commands_are_those_of_the_documentation() -> None:
    cms = "openssl cms -decrypt -inform PEM -inkey private.pem -in billing.enc"
    assert decrypt_command(EnvelopeFormat.CMS, "billing.enc") == cms
    assert decrypt_command(EnvelopeFormat.JWE, "billing.enc") == "sealkey decrypt billing.enc --key private.pem"


@FORMS
@pytest.mark.parametrize("name", ["two words.enc", "$(reboot).enc", "it's.enc", "a;b.enc"])
def test_a_file_name_stays_one_word_of_the_command(form: EnvelopeFormat, name: str) -> None:
    assert name in shlex.split(decrypt_command(form, name))


@FORMS
def test_a_file_name_is_never_an_option(form: EnvelopeFormat) -> None:
    assert " ./-out.enc" in decrypt_command(form, "-out.enc")
