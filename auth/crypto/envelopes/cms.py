"""CMS envelopes: AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084) and RSAES-OAEP (RFC 4055), in PEM.

ContentInfo
└── AuthEnvelopedData
    ├── one KeyTransRecipientInfo: whose key, and the content key under it
    ├── EncryptedContentInfo: the nonce and the ciphertext
    └── mac: the tag
"""

import os
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509 import SubjectKeyIdentifier
from pyasn1.codec.der import encoder
from pyasn1_modules import rfc4055, rfc5083, rfc5084, rfc5652

from auth.crypto import der
from auth.crypto.envelopes.primitives import (
    CONTENT_KEY_BITS,
    NONCE_BYTES,
    OAEP_SHA256,
    TAG_BYTES,
    EnvelopeUnreadable,
    open_sealed,
)
from auth.crypto.public_keys import RecipientKey
from auth.crypto.strict_base64 import Base64Refused, decode_base64

_ARMOUR = re.compile(r"-----BEGIN CMS-----\s(.*)\s-----END CMS-----", re.DOTALL)
_NOT_AS_SEALED = "The envelope was altered, damaged or cut short, or was not made by Sealkey."
_CHARACTERS_PER_LINE = 64  # RFC 7468 section 2


@dataclass(frozen=True)
class _Fields:
    """All that differs between two envelopes; the rest of the DER is the same in each."""

    key_identifier: bytes
    encrypted_key: bytes
    nonce: bytes
    ciphertext: bytes
    tag: bytes


def seal_cms(content: bytes, recipient: RecipientKey) -> bytes:
    """PEM, in ASCII, that only the holder of the private key can open, with stock openssl from 3.0 on.

    The content key, 256 bits, and the nonce, 96 bits, are new in each.
    """
    content_key = AESGCM.generate_key(CONTENT_KEY_BITS)
    nonce = os.urandom(NONCE_BYTES)
    # No associated data: it would be the authenticated attributes, which plain data needs none of (RFC 5083
    # section 2.1).
    sealed = AESGCM(content_key).encrypt(nonce, content, None)
    fields = _Fields(
        key_identifier=recipient.subject_key_identifier,
        encrypted_key=recipient.rsa.encrypt(content_key, OAEP_SHA256),
        nonce=nonce,
        ciphertext=sealed[:-TAG_BYTES],
        tag=sealed[-TAG_BYTES:],
    )
    return _armour(_encode(fields))


def open_cms(envelope: str, private_key: RSAPrivateKey) -> bytes:
    """The authenticated content of what `seal_cms` made; raises EnvelopeUnreadable."""
    fields = _decode(_unarmour(envelope))
    own_identifier = SubjectKeyIdentifier.from_public_key(private_key.public_key()).digest
    if fields.key_identifier != own_identifier:
        raise EnvelopeUnreadable("The envelope is addressed to another key. Use the private key it was sealed to.")
    return open_sealed(
        private_key,
        encrypted_key=fields.encrypted_key,
        nonce=fields.nonce,
        ciphertext=fields.ciphertext,
        tag=fields.tag,
        associated_data=None,
    )


def _encode(fields: _Fields) -> bytes:
    body = rfc5083.AuthEnvelopedData()
    body["version"] = 0  # RFC 5083 section 2.1
    body["recipientInfos"].append(_recipient_info(fields))
    body["authEncryptedContentInfo"]["contentType"] = rfc5652.id_data
    body["authEncryptedContentInfo"]["contentEncryptionAlgorithm"] = _content_algorithm(fields.nonce)
    body["authEncryptedContentInfo"]["encryptedContent"] = fields.ciphertext
    body["mac"] = fields.tag
    envelope = rfc5652.ContentInfo()
    envelope["contentType"] = rfc5083.id_ct_authEnvelopedData
    envelope["content"] = encoder.encode(body)
    return bytes(encoder.encode(envelope))


def _recipient_info(fields: _Fields) -> Any:
    info = rfc5652.RecipientInfo()
    info["ktri"]["version"] = 2  # RFC 5652 section 6.2.1, for a recipient named by subjectKeyIdentifier
    # By key and not by issuer and serial number: there may be no certificate, only a bare public key.
    info["ktri"]["rid"]["subjectKeyIdentifier"] = fields.key_identifier
    info["ktri"]["keyEncryptionAlgorithm"] = rfc4055.rSAES_OAEP_SHA256_Identifier
    info["ktri"]["encryptedKey"] = fields.encrypted_key
    return info


def _content_algorithm(nonce: bytes) -> Any:
    parameters = rfc5084.GCMParameters()
    parameters["aes-nonce"] = nonce
    parameters["aes-ICVlen"] = TAG_BYTES  # left out it would mean 12
    algorithm = rfc5652.ContentEncryptionAlgorithmIdentifier()
    algorithm["algorithm"] = rfc5084.id_aes256_GCM
    algorithm["parameters"] = encoder.encode(parameters)
    return algorithm


def _decode(data: bytes) -> _Fields:
    try:
        fields = _pick(der.read(data, der.SEQUENCE))
    except der.NotDer:
        raise EnvelopeUnreadable(_NOT_AS_SEALED) from None
    # GCM covers the content and not what stands around it. Writing the envelope again from its fields and
    # comparing makes every other bit count as well: versions, algorithms, lengths.
    if _encode(fields) != data:
        raise EnvelopeUnreadable(_NOT_AS_SEALED)
    return fields


def _pick(envelope: der.Element) -> _Fields:
    """The fields by their places alone; the caller checks everything between them."""
    _, wrapped = envelope.parts(der.OBJECT_IDENTIFIER, der.context(0))
    (body,) = wrapped.parts(der.SEQUENCE)
    _, recipients, content, tag = body.parts(der.INTEGER, der.SET, der.SEQUENCE, der.OCTET_STRING)
    (recipient,) = recipients.parts(der.SEQUENCE)
    _, identifier, _, encrypted_key = recipient.parts(
        der.INTEGER, der.context(0, constructed=False), der.SEQUENCE, der.OCTET_STRING
    )
    _, algorithm, ciphertext = content.parts(der.OBJECT_IDENTIFIER, der.SEQUENCE, der.context(0, constructed=False))
    _, parameters = algorithm.parts(der.OBJECT_IDENTIFIER, der.SEQUENCE)
    nonce, _ = parameters.parts(der.OCTET_STRING, der.INTEGER)
    return _Fields(identifier.body, encrypted_key.body, nonce.body, ciphertext.body, tag.body)


def _armour(data: bytes) -> bytes:
    body = b64encode(data).decode()
    lines = [body[at : at + _CHARACTERS_PER_LINE] for at in range(0, len(body), _CHARACTERS_PER_LINE)]
    return "\n".join(("-----BEGIN CMS-----", *lines, "-----END CMS-----", "")).encode()


def _unarmour(envelope: str) -> bytes:
    block = _ARMOUR.fullmatch(envelope)
    if not block:
        raise EnvelopeUnreadable("The PEM block of the envelope is not whole: a line is missing or altered.")
    try:
        return decode_base64(block[1])
    except Base64Refused as refused:
        raise EnvelopeUnreadable(f"The body of the PEM block is not base64: {refused}.") from None
