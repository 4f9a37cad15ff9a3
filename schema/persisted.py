"""Documents that clients send once, or never, and name by an id from then on.

Automatic persisted queries (Apollo's protocol): a client sends the SHA-256 of a text; where it is not known, the text
beside it, and it is known from then on.

Trusted documents: the texts that a deployment's own clients were built with, read at start. Nothing else is executed
then.
"""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256

_KEPT = 256
_PREFIX = "sha256:"


class PersistedQueryNotFound(Exception):
    """No document of this id is known; send its text beside it. Clients know the message."""

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


class PersistedQueryNotSupported(Exception):
    """Documents are not kept here; send the text alone. Clients know the message."""

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")


class PersistedQueryMismatch(Exception):
    """The text beside a hash has another."""

    def __init__(self) -> None:
        super().__init__("The document's SHA-256 is not the one that was sent.")


class DocumentNotTrusted(Exception):
    """Only the documents on a list are executed here, and this is none of them."""

    def __init__(self) -> None:
        super().__init__("Only documents that are on this server's list are executed: this one is not.")


UNKNOWN_DOCUMENT = (PersistedQueryNotFound, PersistedQueryNotSupported, PersistedQueryMismatch, DocumentNotTrusted)


class PersistedDocuments:
    """Texts by their ids.

    trusted: those of the deployment's own clients; None where any document may be asked.
    automatic: whether what clients send is kept, where there is no list.
    """

    def __init__(self, trusted: Mapping[str, str] | None = None, *, automatic: bool = True) -> None:
        self._trusted = trusted
        self._texts = frozenset(trusted.values()) if trusted is not None else frozenset()
        self._automatic = automatic
        self._kept: OrderedDict[str, str] = OrderedDict()

    def find(self, text: str | None, document_id: str | None) -> str:
        """The text to execute: the one sent, or the one of the id. At least one of the two is there. Raises
        PersistedQueryNotFound, PersistedQueryNotSupported, PersistedQueryMismatch and DocumentNotTrusted."""
        if self._trusted is not None:
            return self._find_trusted(self._trusted, text, document_id)
        if document_id is None:
            return text or ""
        if not self._automatic:
            raise PersistedQueryNotSupported
        if text is None:
            return self._recall(document_id)
        if _hash(text) != document_id.removeprefix(_PREFIX):
            raise PersistedQueryMismatch
        return text

    def keep(self, text: str) -> None:
        """Has it known by its hash; without a list, and where any are kept."""
        if self._automatic and self._trusted is None:
            document_id = _hash(text)
            self._kept[document_id] = text
            self._kept.move_to_end(document_id)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def _find_trusted(self, trusted: Mapping[str, str], text: str | None, document_id: str | None) -> str:
        if document_id is None and text in self._texts:
            return text or ""
        found = trusted.get(document_id or "")
        if found is None:
            raise DocumentNotTrusted
        if text not in {None, found}:
            raise PersistedQueryMismatch
        return found

    def _recall(self, document_id: str) -> str:
        document_id = document_id.removeprefix(_PREFIX)
        text = self._kept.get(document_id)
        if text is None:
            raise PersistedQueryNotFound
        self._kept.move_to_end(document_id)
        return text


def ids_of(given: str, text: str) -> set[str]:
    """What a document on a list can be asked for by: the id that it has there, and its SHA-256."""
    return {given, _hash(text), _PREFIX + _hash(text)}


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
