"""Sealing a file to a public key, and opening it again with the private one.

seal_cms, seal_jwe   take a RecipientKey, the proof that the key was vetted
open_envelope        tells the form; outputs nothing that is not authenticated
└── cms, jwe         the two forms: what goes where
    └── primitives   RSA-OAEP and AES-256-GCM, with the reason of each size

ValueError
├── EnvelopeUnreadable     the envelope: not one, altered, damaged, or for another key
└── PrivateKeyUnreadable   the private key: needs a passphrase, got a wrong one, or is none
"""

import re

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from auth.crypto.envelopes.cms import open_cms, seal_cms
from auth.crypto.envelopes.format import EnvelopeFormat, decrypt_command
from auth.crypto.envelopes.jwe import open_jwe, seal_jwe
from auth.crypto.envelopes.primitives import EnvelopeUnreadable
from auth.crypto.envelopes.private_keys import PrivateKeyUnreadable, read_private_key

__all__ = [
    "EnvelopeFormat",
    "EnvelopeUnreadable",
    "PrivateKeyUnreadable",
    "decrypt_command",
    "open_envelope",
    "read_private_key",
    "seal_cms",
    "seal_jwe",
]

# A sealed credential takes 5 KB with the largest key; more than this is some other file.
_MAXIMUM_BYTES = 1024 * 1024

_FORMS = [
    (re.compile(r"-----"), open_cms),
    (re.compile(r"[A-Za-z0-9_-]+\."), open_jwe),
]


def open_envelope(data: bytes, private_key: RSAPrivateKey) -> bytes:
    """The content of an envelope of either form, once its tag is verified.

    Raises EnvelopeUnreadable with the reason, as far as it can be known: a wrong key and an altered envelope
    may look the same. Opens what this server seals and nothing more general.
    """
    if len(data) > _MAXIMUM_BYTES:
        raise EnvelopeUnreadable("The file is too large to be an envelope from Sealkey.")
    text = data.decode("ascii", "replace").strip()
    for beginning, open_form in _FORMS:
        if beginning.match(text):
            return open_form(text, private_key)
    raise EnvelopeUnreadable("The file is neither a CMS envelope in PEM nor a JWE.")
