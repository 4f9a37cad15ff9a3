"""Reading the private key that opens an envelope: the key holder's side, used by `sealkey decrypt`."""

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

_PUBLIC = re.compile(rb"BEGIN ([A-Z0-9]+ )*(PUBLIC KEY|CERTIFICATE)-|^\s*ssh-")
_CONVERT = "convert it with: ssh-keygen -p -m PKCS8 -f private.pem"

_NEEDS_ONE = (
    "The private key is under a passphrase, which is asked for on a terminal, or else read from standard input."
)
_NOT_HERE = f"The private key is in a form that can't be read here; {_CONVERT}"
_NEEDS_NONE = "The private key is not under a passphrase. Leave the passphrase out."
_WRONG_OR_DAMAGED = "The passphrase is wrong, or the private key is damaged."
_NOT_A_KEY = "This is no private key in PEM, or a damaged one."


class PrivateKeyUnreadable(ValueError):
    """The file is no private key that can be used; the message says why and repeats none of it."""


def read_private_key(pem: bytes, passphrase: bytes | None = None) -> RSAPrivateKey:
    """The RSA private key in a PEM file: PKCS#8, PKCS#1 or OpenSSH, under a passphrase or not.

    Raises PrivateKeyUnreadable.
    """
    if b"PRIVATE KEY" not in pem and _PUBLIC.search(pem):
        raise PrivateKeyUnreadable("This is a public key. An envelope opens only with the private key.")
    key = _load(pem, passphrase)
    if not isinstance(key, RSAPrivateKey):
        raise PrivateKeyUnreadable("This is a private key, but not an RSA one; envelopes are sealed to RSA keys only.")
    return key


def _load(pem: bytes, passphrase: bytes | None) -> object:
    load = load_ssh_private_key if b"BEGIN OPENSSH" in pem else load_pem_private_key
    try:
        return load(pem, passphrase)
    except TypeError:  # how the library says that there is a passphrase too many or too few
        if load is load_ssh_private_key and passphrase is None:  # with the passphrase it could not be read either
            raise PrivateKeyUnreadable(_NOT_HERE) from None
        raise PrivateKeyUnreadable(_NEEDS_NONE if passphrase else _NEEDS_ONE) from None
    except UnsupportedAlgorithm:
        raise PrivateKeyUnreadable(_NOT_HERE) from None
    except ValueError:
        raise PrivateKeyUnreadable(_NOT_A_KEY if passphrase is None else _WRONG_OR_DAMAGED) from None
