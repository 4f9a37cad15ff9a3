"""Finding private keys in a text, whatever their form and however they were mangled on the way.

Looked for before anything else is read and all over the text, for a private key beside a public one is
private still. A false alarm costs the sender a second try and a miss far more, so the search is broad.
"""

import binascii
import re
from collections.abc import Iterator
from itertools import chain, repeat

from auth.crypto.public_keys.refusal import private

# In the letters and digits of the text, in capitals: line breaks, dashes, escapes and quotes that an editor,
# a shell or a form changed make no difference. The first row that matches names the key.
_LABELS = [
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"PUTTYUSERKEYFILE|PRIVATELINES[0-9]", "a PuTTY private key file (.ppk)"),
        (r"(BEGIN|END)PGP(PRIVATE|SECRET)KEY", "a PGP private key"),
        (r"(BEGIN|END)OPENSSHPRIVATEKEY", "an OpenSSH private key"),
        (r"(BEGIN|END)SSH2(ENCRYPTED)?PRIVATEKEY", "an SSH2 private key"),
        (r"PROCTYPE4ENCRYPTED|DEKINFO(AES|DES|CAM)", "a private key under a passphrase, in the form of old OpenSSL"),
        (r"(BEGIN|END)ENCRYPTEDPRIVATEKEY", "a private key under a passphrase (PKCS#8)"),
        (r"(BEGIN|END)RSAPRIVATEKEY", "an RSA private key (PKCS#1)"),
        (r"(BEGIN|END)ECPRIVATEKEY", "an elliptic-curve private key"),
        (r"(BEGIN|END)DSAPRIVATEKEY", "a DSA private key"),
        (r"(BEGIN|END)PRIVATEKEY", "a private key (PKCS#8)"),
        (r"(BEGIN|END)[A-Z0-9]{0,16}PRIVATEKEY", "a private key"),
        (r"AGESECRETKEY", "an age private key"),
        (r"PRIVATEEXPONENT", "a private key written out in numbers"),
        (r"30([0-7].|81..|82....)0201(0002|0030|0102|0104|0130|0330)", "a private key in hexadecimal"),
    )
]

# In the text as it is. Members of RFC 7518 sections 6.2.2, 6.3.2 and 6.4, the quotes escaped or not.
_MEMBERS = [
    (re.compile(r"""["'](d|p|q|dp|dq|qi|oth)\\*["']\s*:"""), "a JWK with private members"),
    (re.compile(r"""["']k\\*["']\s*:"""), "a JWK with a symmetric key, which is secret"),
    (re.compile(r"<(D|DP|DQ|InverseQ)>"), "a private key in XML"),
]
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

# How binary private keys begin, so that one cut short is still recognised. SEQUENCE, its length, then
# INTEGER: a version, which no modulus can be, and that tells these from the public forms.
_SEQUENCE = rb"\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
_BEGINNINGS = [
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (_SEQUENCE + rb"\x02\x01[\x00\x01]\x02", "the DER of an RSA or DSA private key"),
        (_SEQUENCE + rb"\x02\x01[\x00\x01]\x30", "the DER of a private key (PKCS#8)"),
        (_SEQUENCE + rb"\x02\x01\x01\x04", "the DER of an elliptic-curve private key"),
        (_SEQUENCE + rb"\x02\x01\x03\x30", "a PKCS#12 file, which holds a private key"),
        # PBES1 and PBES2 (RFC 8018) and the schemes of PKCS#12 (RFC 7292 appendix C)
        (
            _SEQUENCE * 2 + rb"\x06.\x2a\x86\x48\x86\xf7\x0d\x01(\x05|\x0c\x01)",
            "the DER of an encrypted private key",
        ),
        (rb"openssh-key-v1\0", "the body of an OpenSSH private key"),
        (rb"\xfe\xed\xfe\xed", "a Java key store, which holds a private key"),
    )
]

_NOT_LETTERS_OR_DIGITS = re.compile(r"[^A-Za-z0-9]+")
_BREAKS = re.compile(r"\\[nrt]|-{2,}")
_WORDS = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_TO_STANDARD = str.maketrans("-_", "+/")


def refuse_private_keys(text: str) -> None:
    """Raise PublicKeyRefused if a private key is anywhere in the text, or in base64 in it."""
    _refuse_private_text(text)
    for blob in _blobs(text):
        refuse_private_der(blob)
        if blob.isascii():  # base64 of a whole PEM file, as some secret stores keep it
            _refuse_private_text(blob.decode())


def refuse_private_der(data: bytes) -> None:
    """Raise PublicKeyRefused if the bytes begin as a private key does."""
    for pattern, kind in _BEGINNINGS:
        if pattern.match(data):
            raise private(kind)


def _refuse_private_text(text: str) -> None:
    squeezed = _NOT_LETTERS_OR_DIGITS.sub("", text).upper()
    rows = chain(zip(_LABELS, repeat(squeezed)), zip(_MEMBERS, repeat(text)))
    for (pattern, kind), searched in rows:
        if pattern.search(searched):
            raise private(kind)


def _blobs(text: str) -> Iterator[bytes]:
    """What each word of the text may be the base64 of, and the whole of it with its lines taken together."""
    spaced = _BREAKS.sub(" ", text)
    for word in chain(_WORDS.findall(spaced), _WORDS.findall("".join(spaced.split()))):
        whole = word[: len(word) // 4 * 4]
        yield binascii.a2b_base64(whole.translate(_TO_STANDARD))
