"""Looking into envelopes, and damaging them, with none of the code that made them."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any

from pyasn1.codec.der import decoder
from pyasn1_modules import rfc5083, rfc5652

from auth.crypto.envelopes import EnvelopeFormat, seal_cms, seal_jwe
from auth.crypto.public_keys import RecipientKey
from tests.auth.crypto.keys import base64url, pem

SEAL: dict[EnvelopeFormat, Callable[[bytes, RecipientKey], bytes]] = {
    EnvelopeFormat.CMS: seal_cms,
    EnvelopeFormat.JWE: seal_jwe,
}

CONTENT = b"API Key,API Secret\r\nsealkey_key_0123456789abcdef,sealkey_secret_9\r\n"


def cms_der(envelope: bytes) -> bytes:
    first, *body, last = envelope.split(b"\n")[:-1]
    assert (first, last) == (b"-----BEGIN CMS-----", b"-----END CMS-----")
    return b64decode(b"".join(body), validate=True)


def cms_pem(der: bytes) -> bytes:
    return pem("CMS", der).encode()


def jwe_segments(envelope: bytes) -> list[bytes]:
    return [b64decode(segment + b"=" * (-len(segment) % 4), b"-_", validate=True) for segment in envelope.split(b".")]


def jwe_of(segments: list[bytes]) -> bytes:
    return ".".join(map(base64url, segments)).encode()


def auth_enveloped_data(envelope: bytes) -> Any:
    info, rest = decoder.decode(cms_der(envelope), asn1Spec=rfc5652.ContentInfo())
    assert (info["contentType"], rest) == (rfc5083.id_ct_authEnvelopedData, b"")
    body, rest = decoder.decode(info["content"], asn1Spec=rfc5083.AuthEnvelopedData(), decodeOpenTypes=True)
    assert not rest
    return body


def secret_parts(envelope: bytes) -> dict[str, bytes]:
    """What must be new in each CMS envelope: content key (encrypted), nonce, ciphertext and tag."""
    body = auth_enveloped_data(envelope)
    content = body["authEncryptedContentInfo"]
    return {
        "encrypted key": bytes(body["recipientInfos"][0]["ktri"]["encryptedKey"]),
        "nonce": bytes(content["contentEncryptionAlgorithm"]["parameters"]["aes-nonce"]),
        "ciphertext": bytes(content["encryptedContent"]),
        "tag": bytes(body["mac"]),
    }


def protected_positions(envelope: bytes) -> list[int]:
    """Where in the DER of a CMS envelope any change must make every reader refuse.

    The rest, such as versions and whom it is addressed to, is outside of the tag (RFC 5083 section 2.2): a reader
    may or may not mind a change there, but what it puts out is then still what was sealed.
    """
    der = cms_der(envelope)
    starts = {der.index(part): len(part) for part in secret_parts(envelope).values()}
    return [at for start, length in starts.items() for at in range(start, start + length)]


def flipped(data: bytes, at: int, mask: int = 1) -> bytes:
    return data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]


def damaged_cms(envelope: bytes, positions: list[int]) -> list[bytes]:
    der = cms_der(envelope)
    return [cms_pem(flipped(der, at)) for at in positions]


def damaged_jwe(envelope: bytes) -> Iterator[bytes]:
    """With each byte flipped in turn, in its decoded parts."""
    segments = jwe_segments(envelope)
    for index, segment in enumerate(segments):
        for at in range(len(segment)):
            yield jwe_of([*segments[:index], flipped(segment, at), *segments[index + 1 :]])


def spread(positions: list[int], count: int) -> list[int]:
    """So many of the positions, evenly spread, the first and the last among them."""
    return [positions[index * (len(positions) - 1) // (count - 1)] for index in range(count)]
