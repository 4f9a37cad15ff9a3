"""The file that a credential is delivered in: RFC 4180, UTF-8 without a byte order mark."""

import csv
import io

# A spreadsheet takes a cell that starts with one of these for a formula and may run it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def credential_csv(api_key: str, api_secret: str) -> bytes:
    """The header `API Key,API Secret` and one record, both ended by CRLF.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text)  # the default dialect is RFC 4180's: comma, double quote, CRLF
    rows.writerow(("API Key", "API Secret"))
    rows.writerow((_as_text(api_key), _as_text(api_secret)))
    return text.getvalue().encode()


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
