"""The two forms of an envelope, and what opens each."""

import shlex
from enum import StrEnum


class EnvelopeFormat(StrEnum):
    """CMS: RFC 5083 AuthEnvelopedData, for `openssl cms -decrypt`. JWE: RFC 7516 compact serialization."""

    CMS = "CMS"
    JWE = "JWE"


_COMMANDS = {
    EnvelopeFormat.CMS: "openssl cms -decrypt -inform PEM -inkey private.pem -in {file}",
    EnvelopeFormat.JWE: "sealkey decrypt {file} --key private.pem",
}


def decrypt_command(format: EnvelopeFormat, file_name: str) -> str:  # noqa: A002 - the contract's word
    """The shell command that opens the file, `<name>.enc`, and writes its content to standard output.

    openssl writes its output before it has checked the tag: only an exit status of 0 makes it trustworthy.
    """
    # A name that begins with a dash would be taken for an option.
    file = f"./{file_name}" if file_name.startswith("-") else file_name
    return _COMMANDS[format].format(file=shlex.quote(file))
