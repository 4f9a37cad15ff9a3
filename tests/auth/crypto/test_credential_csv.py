"""The file that a credential is delivered in."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.crypto.credential_csv import credential_csv


def test_the_file_has_a_header_and_one_record_with_crlf() -> None:
    assert (
        credential_csv("sealkey_key_1", "sealkey_secret_2")
        == b"API Key,API Secret\r\nsealkey_key_1,sealkey_secret_2\r\n"
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_taken_for_a_formula(start: str) -> None:
    rows = read(credential_csv(f"{start}1+1", f"{start}2+2"))
    assert rows[1] == [f"'{start}1+1", f"'{start}2+2"]


def test_quotes_commas_and_line_ends_are_quoted() -> None:
    assert credential_csv('a"b', "c,d\r\n") == b'API Key,API Secret\r\n"a""b","c,d\r\n"\r\n'


@settings(deadline=None)
@given(st.text(), st.text())
def test_what_goes_in_comes_out(api_key: str, api_secret: str) -> None:
    header, record = read(credential_csv(api_key, api_secret))
    assert header == ["API Key", "API Secret"]
    assert [cell.removeprefix("'") for cell in record] == [cell.removeprefix("'") for cell in (api_key, api_secret)]


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
