"""The Merkle tree of RFC 6962, 2.1, of which only what its root needs is kept: one hash for each level."""

from hashlib import sha256


class MerkleTree:
    """A tree that leaves are appended to. Its state is as long as its size has bits."""

    def __init__(self) -> None:
        self.size = 0
        # The roots of the largest whole trees, from left to right; one for each bit of the size that is set.
        self._whole: list[bytes] = []

    def append(self, data: bytes) -> None:
        node, size = sha256(b"\0" + data).digest(), self.size
        while size & 1:
            node = _parent(self._whole.pop(), node)
            size >>= 1
        self._whole.append(node)
        self.size += 1

    def root(self) -> bytes:
        """32 bytes; of the empty tree, the hash of nothing."""
        if not self._whole:
            return sha256(b"").digest()
        *left, node = self._whole
        for each in reversed(left):
            node = _parent(each, node)
        return node


def _parent(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()
