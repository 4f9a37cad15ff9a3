"""Sealing an answer under the client's idempotency key, which is not kept: whoever has the database, and whoever has
the server's keys besides, can't open it; the client who asks again can.

Three values are derived from the key (HKDF-SHA256, RFC 5869), each under its own label, so that the one that is kept
tells nothing of the ones that open:

    key_hash      where the answer is found
    request_hash  whether the same thing is asked again
    sealing key   AES-256-GCM; the nonce is random, since one key seals one answer
"""

import hmac
import secrets
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from auth.crypto.secret import Secret

_NONCE_BYTES = 12
_ALTERED = "the kept answer was altered"


class AnswerUnreadable(ValueError):
    """A kept answer does not open with this key: it was altered."""


class IdempotencyKey:
    """One client's key for one operation. `context` names the client and the operation, so that the same key of
    another client, or for another operation, is another key."""

    def __init__(self, key: Secret, context: str) -> None:
        self._derive_from = key.reveal().encode(errors="surrogatepass")
        self._context = context.encode()

    @property
    def key_hash(self) -> str:
        return self._derive(b"find").hex()

    def request_hash(self, request: bytes) -> str:
        return hmac.digest(self._derive(b"compare"), request, "sha256").hex()

    def seal(self, answer: bytes) -> str:
        """The answer in base64, for this key alone."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return b64encode(nonce + AESGCM(self._derive(b"seal")).encrypt(nonce, answer, self._context)).decode()

    def open(self, sealed: str) -> bytes:
        """Raises AnswerUnreadable."""
        try:
            data = b64decode(sealed)
            answer = AESGCM(self._derive(b"seal")).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], self._context)
        except (InvalidTag, ValueError):
            raise AnswerUnreadable(_ALTERED) from None
        # Base64 can spell the same bytes in several ways; we do in one.
        if b64encode(data).decode() != sealed:
            raise AnswerUnreadable(_ALTERED)
        return answer

    def _derive(self, label: bytes) -> bytes:
        info = b"sealkey idempotency v1 " + label + b"\0" + self._context
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._derive_from)
