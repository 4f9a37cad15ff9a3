"""A secret that was shown and is right is hashed anew, under the newest of the server's keys.

So older keys come to be needed by nothing but what is not used. Nothing of it is done while somebody waits but two
keyed hashes, once for each credential; the secret itself is not kept until it is written down.
"""

from datetime import datetime

from auth.crypto.keyring import Keyring, Purpose
from auth.crypto.secret import Secret
from auth.crypto.secret_hash import hash_secret
from models.check_facts import CredentialFacts
from models.failures import Unavailable
from models.rehash import Rehash, rehash

# Written at once. What is shown beyond that is hashed anew when it is shown again: so many thousands are done in the
# course of some rounds, and nobody who writes waits for long.
_MOST_AT_ONCE = 1_000


class KeyMissing(Unavailable):
    """Something was made under a key of the server's that this process has not been given; its argument is the id."""


class Rehashing:
    """What this process has found hashed under an older key, and not yet written down."""

    def __init__(self) -> None:
        self.outdated: frozenset[str] = frozenset()
        """The ids of keys in the place of which there is a newer one."""
        self._newest = ""
        self._found: dict[bytes, tuple[Rehash, CredentialFacts]] = {}

    def follow(self, keyring: Keyring, now: datetime) -> None:
        """Takes notice of which key is the newest."""
        newest = keyring.symmetric_key(Purpose.CREDENTIAL_HASHING, now)
        # Not those that wait: another process's clock may be ahead, and nothing is to be hashed back.
        ids = [key.id for key in keyring.versions(Purpose.CREDENTIAL_HASHING)]
        self.outdated = frozenset(ids[: ids.index(newest.id)])
        if newest.id != self._newest:
            # What would be hashed under another one is found again.
            self._newest, self._found = newest.id, {}

    def note(self, keyring: Keyring, found: CredentialFacts, shown: bytes) -> None:
        """Hashes a right secret anew; `shown` is key and secret, `key:secret`."""
        old, new = keyring.symmetric_keys.get(found.hashing_key_id), keyring.symmetric_keys.get(self._newest)
        if old is None or new is None or found.id in self._found or len(self._found) >= _MOST_AT_ONCE:
            return
        api_key, _, text = shown.decode(errors="surrogatepass").partition(":")
        secret = Secret(text)
        due = Rehash(
            str(found.row_id), old.id, hash_secret(old, api_key, secret), new.id, hash_secret(new, api_key, secret)
        )
        self._found[found.id] = due, found

    async def flush(self) -> None:
        """Writes down what was found. If that fails, it is written down the next time."""
        found = dict(self._found)
        if found:
            await rehash([due for due, _ in found.values()])
        for id_, written in found.items():
            due, facts = written
            facts.hashing_key_id = due.new_key_id  # only now: what was not written down is found again
            if self._found.get(id_) is written:
                del self._found[id_]
