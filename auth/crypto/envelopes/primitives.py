"""The two primitives of both envelope forms: RSA-OAEP for the content key, AES-256-GCM for the content.

Every size is fixed. Readers, ours included, take nothing else, so there is nothing for an attacker to choose.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

# AES-256: the envelope may be kept for years, and the longer key costs nothing here.
CONTENT_KEY_BITS = 256
# 96 bits: the size that GCM takes as it is, without hashing it first (SP 800-38D section 5.2.1.1), and the
# only one in JOSE. Random is safe, since each content key seals one content and is then forgotten: no two
# nonces meet.
NONCE_BYTES = 12
# 128 bits, the whole tag: shorter ones make forgery easier than their length says (SP 800-38D appendix C).
TAG_BYTES = 16

# SHA-256 for the label and for MGF1, and an empty label: what RSA-OAEP-256 means in JOSE (RFC 7518 section
# 4.3), and what openssl and hardware stores offer. OAEP's own default, SHA-1, is refused by strict policies.
OAEP_SHA256 = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)


class EnvelopeUnreadable(ValueError):
    """The envelope can't be opened and nothing of it was output; the message says why, as far as is known."""


def open_sealed(
    private_key: RSAPrivateKey,
    *,
    encrypted_key: bytes,
    nonce: bytes,
    ciphertext: bytes,
    tag: bytes,
    associated_data: bytes | None,
) -> bytes:
    """The content, once its tag is verified; raises EnvelopeUnreadable.

    The refusals tell more than a server's should: this is for the holder of the private key on their own
    machine.
    """
    if (len(nonce), len(tag)) != (NONCE_BYTES, TAG_BYTES):
        raise EnvelopeUnreadable("The envelope was altered or damaged: its nonce or its tag has a wrong length.")
    content_key = _content_key(private_key, encrypted_key)
    try:
        return AESGCM(content_key).decrypt(nonce, ciphertext + tag, associated_data)
    except InvalidTag:
        raise EnvelopeUnreadable("The envelope was altered or damaged: its tag does not match.") from None


def _content_key(private_key: RSAPrivateKey, encrypted_key: bytes) -> bytes:
    try:
        content_key = private_key.decrypt(encrypted_key, OAEP_SHA256)
    except ValueError:
        raise EnvelopeUnreadable(
            "The envelope does not open with this private key. Either it was sealed to another key, or it "
            "was altered or damaged: RSA-OAEP can't tell which."
        ) from None
    if len(content_key) * 8 != CONTENT_KEY_BITS:
        raise EnvelopeUnreadable("The envelope was not made by Sealkey: its content key has a wrong length.")
    return content_key
