"""The file that a credential is delivered in: RFC 4180, UTF-8 without a byte order mark."""

import csv
import io

# A spreadsheet takes a cell that starts with one of these for a formula and may run it; some do so behind spaces, and
# some with the full-width forms.
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_CONTROLS = ("\t", "\r", "\n")


def credential_csv(api_key: str, api_secret: str) -> bytes:
    """The header `API Key,API Secret` and one record, both ended by CRLF.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text)  # the default dialect is RFC 4180's: comma, double quote, CRLF
    rows.writerow(("API Key", "API Secret"))
    rows.writerow((as_text(api_key), as_text(api_secret)))
    return text.getvalue().encode()


def as_text(cell: str) -> str:
    """The cell, with an apostrophe in front where a spreadsheet would take it for a formula."""
    is_formula = cell.startswith(_CONTROLS) or cell.lstrip().startswith(_FORMULA_STARTS)
    return f"'{cell}" if is_formula else cell
