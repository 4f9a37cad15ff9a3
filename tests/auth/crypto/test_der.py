"""The strict reader of DER."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.crypto import der
from auth.crypto.der import Element, NotDer, TrailingBytes
from tests.auth.crypto import keys
from tests.auth.crypto.der_writer import element, integer, sequence

NOT_DER = {
    "nothing": b"",
    "half a header": b"\x02",
    "a high tag number": b"\x1f\x81\x01\x00",
    "cut short": b"\x04\x02A",
    "a length cut short": b"\x04\x82\x01",
    "an indefinite length": b"\x30\x80\x00\x00",
    "a length in too many octets": b"\x04\x81\x01A",
    "a length with a leading zero": b"\x04\x82\x00\x80" + bytes(128),
    "a length of five octets": b"\x04\x85\x00\x00\x00\x00\x01A",
    "a length beyond all memory": b"\x04\x84\xff\xff\xff\xffA",
}


@pytest.mark.parametrize("data", NOT_DER.values(), ids=NOT_DER)
def test_what_is_not_der_is_refused(data: bytes) -> None:
    with pytest.raises(NotDer):
        der.read(data, der.OCTET_STRING)
    with pytest.raises(NotDer):
        Element(der.SEQUENCE, data[:-1] or b"\x02").children()


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_lengths_are_read_in_their_shortest_form(length: int) -> None:
    data = element(der.OCTET_STRING, bytes(length))
    assert der.read(data, der.OCTET_STRING) == Element(der.OCTET_STRING, bytes(length))
    with pytest.raises(TrailingBytes):
        der.read(data + b"\0", der.OCTET_STRING)


def test_an_element_must_have_the_tag_and_the_parts_asked_for() -> None:
    pair = der.read(sequence(integer(1), element(der.NULL)), der.SEQUENCE)
    assert pair.parts(der.INTEGER, der.NULL) == pair.children()
    for tags in [(), (der.INTEGER,), (der.NULL, der.INTEGER), (der.INTEGER, der.NULL, der.NULL)]:
        with pytest.raises(NotDer):
            pair.parts(*tags)
    with pytest.raises(NotDer):
        der.read(sequence(), der.SET)
    with pytest.raises(NotDer):
        Element(der.OCTET_STRING, integer(1)).children()


@given(st.integers(min_value=0))
def test_unsigned_integers_are_read_as_written(number: int) -> None:
    assert der.unsigned(der.read(integer(number), der.INTEGER)) == number


@pytest.mark.parametrize("body", [b"", b"\x80", b"\0\0", b"\0\x7f"], ids=["empty", "negative", "zeros", "zero before"])
def test_other_integers_are_refused(body: bytes) -> None:
    with pytest.raises(NotDer):
        der.unsigned(Element(der.INTEGER, body))


def test_bit_strings_are_of_whole_octets() -> None:
    assert der.bits(Element(der.BIT_STRING, b"\0AB")) == b"AB"
    for wrong in (Element(der.BIT_STRING, b""), Element(der.BIT_STRING, b"\1AB"), Element(der.OCTET_STRING, b"\0AB")):
        with pytest.raises(NotDer):
            der.bits(wrong)


@pytest.mark.parametrize(
    ("dotted", "octets"), [("1.2.840.113549.1.1.1", "2a864886f70d010101"), ("2.5.29.15", "551d0f")]
)
def test_object_identifiers_are_compared_by_their_octets(dotted: str, octets: str) -> None:
    assert der.oid(dotted).hex() == octets


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for tag in (der.SEQUENCE, der.INTEGER):
        try:
            read = der.read(data, tag)
        except NotDer:
            continue
        assert element(read.tag, read.body) == data


def test_the_other_writer_of_der_agrees() -> None:
    spki = keys.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    algorithm, key = der.read(spki, der.SEQUENCE).parts(der.SEQUENCE, der.BIT_STRING)
    assert sequence(element(der.SEQUENCE, algorithm.body), element(der.BIT_STRING, key.body)) == spki
