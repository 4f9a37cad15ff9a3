"""A strict reader of DER (ITU-T X.690 section 10): enough to see what a blob is before any library is asked.

It never recurses and reads a length only once, so its work grows with the input's size and nothing else.
"""

from dataclasses import dataclass

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OBJECT_IDENTIFIER = 1, 2, 3, 4, 5, 6
SEQUENCE, SET = 0x30, 0x31
_CONSTRUCTED = 0x20


def context(number: int, *, constructed: bool = True) -> int:
    """The identifier octet of the context-specific tag [number]."""
    return 0x80 | (_CONSTRUCTED if constructed else 0) | number


class NotDer(ValueError):
    """The bytes are not DER."""


class TrailingBytes(NotDer):
    """One whole element, and then something more."""


@dataclass(frozen=True)
class Element:
    """One element: `tag`, the identifier octet, and `body`, the contents octets."""

    tag: int
    body: bytes

    def children(self) -> list["Element"]:
        """The elements that a constructed element is made of; raises NotDer."""
        if not self.tag & _CONSTRUCTED:
            raise NotDer
        return _elements(self.body)

    def parts(self, *tags: int) -> list["Element"]:
        """The children, which must have exactly these tags in this order; raises NotDer."""
        children = self.children()
        if [child.tag for child in children] != list(tags):
            raise NotDer
        return children


def read(data: bytes, tag: int) -> Element:
    """The one element that `data` is, with this tag; raises NotDer, or TrailingBytes when more follows it."""
    element, end = _element(data, 0)
    if end != len(data):
        raise TrailingBytes
    if element.tag != tag:
        raise NotDer
    return element


def unsigned(element: Element) -> int:
    """The value of an INTEGER that is not negative; raises NotDer, also for needless leading zeros."""
    body = element.body
    if element.tag != INTEGER or not body or body[0] > 0x7F:
        raise NotDer
    if len(body) > 1 and body[0] == 0 and body[1] <= 0x7F:
        raise NotDer
    return int.from_bytes(body, "big")


def bits(element: Element) -> bytes:
    """The octets of a BIT STRING that has no unused bits; raises NotDer."""
    if element.tag != BIT_STRING or element.body[:1] != b"\0":
        raise NotDer
    return element.body[1:]


def oid(dotted: str) -> bytes:
    """The contents octets of an OBJECT IDENTIFIER (X.690 section 8.19), for comparing."""
    first, second, *rest = map(int, dotted.split("."))
    return b"".join(map(_base128, (40 * first + second, *rest)))


def _base128(arc: int) -> bytes:
    septets = [arc & 0x7F]
    while arc := arc >> 7:
        septets.append(arc & 0x7F | 0x80)
    return bytes(reversed(septets))


def _elements(data: bytes) -> list[Element]:
    found, at = [], 0
    while at < len(data):
        element, at = _element(data, at)
        found.append(element)
    return found


def _element(data: bytes, at: int) -> tuple[Element, int]:
    header = data[at : at + 2]
    if len(header) < 2 or header[0] & 0x1F == 0x1F:  # tags above 30 occur in nothing read here
        raise NotDer
    start, length = at + 2, header[1]
    if length > 0x7F:
        start, length = _long_length(data, start, length & 0x7F)
    end = start + length
    if end > len(data):
        raise NotDer
    return Element(header[0], data[start:end]), end


def _long_length(data: bytes, at: int, octets: int) -> tuple[int, int]:
    end = at + octets
    length = int.from_bytes(data[at:end], "big")
    # DER wants the shortest form; 0 octets would be BER's indefinite length, and no key needs more than 4.
    if not 1 <= octets <= 4 or end > len(data) or length < max(0x80, 1 << 8 * (octets - 1)):
        raise NotDer
    return end, length
