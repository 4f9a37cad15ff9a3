"""RSA public keys that are well-formed and bad: numbers with which nothing would be secret."""

from collections.abc import Callable
from itertools import count
from math import gcd, prod

from auth.crypto.public_keys import PublicKeyFault
from tests.auth.crypto.der_writer import rsa_spki
from tests.auth.crypto.keys import base64, modulus

SMALL_PRIMES = [n for n in range(2, 10_000) if all(n % d for d in range(2, int(n**0.5) + 1))]


def without_small_factors(candidate: Callable[[int], int]) -> int:
    product = prod(SMALL_PRIMES)
    return next(n for n in map(candidate, count()) if gcd(n, product) == 1)


def with_roca_fingerprint() -> int:
    """A power of 65537 modulo the product of the primes up to 167, as the faulty chips make them."""
    product = prod(prime for prime in SMALL_PRIMES if prime <= 167)
    base = pow(65_537, 12_345, product) + (2**2047 // product + 1) * product
    return without_small_factors(lambda step: base + step * product)


def with_close_factors() -> int:
    middle = 3 << 1023
    return without_small_factors(lambda step: (middle + 2 * step) ** 2 - 9)


def key(n: int, e: int = 65_537) -> Callable[[], str]:
    return lambda: base64(rsa_spki(n, e))


INVALID, TOO_WEAK = PublicKeyFault.INVALID_PUBLIC_KEY, PublicKeyFault.PUBLIC_KEY_TOO_WEAK

BAD_NUMBERS: dict[str, tuple[PublicKeyFault, Callable[[], str]]] = {
    "no modulus": (TOO_WEAK, key(0)),
    "512 bits": (TOO_WEAK, key(modulus(512))),
    "1024 bits": (TOO_WEAK, key(modulus(1024))),
    "2047 bits": (TOO_WEAK, key(modulus(2047))),
    "16385 bits": (INVALID, key(2**16384 + 1)),
    "100000 bits": (INVALID, key(2**99_999 + 1)),
    "e = 3": (INVALID, key(modulus(2048), 3)),
    "e = 65538": (INVALID, key(modulus(2048), 65_538)),
    "e = 2**64 + 1": (INVALID, key(modulus(2048), 2**64 + 1)),
    "an even modulus": (INVALID, key(modulus(2048) - 1)),
    "a small factor": (INVALID, key(modulus(2040) * 257)),
    "the ROCA fingerprint": (TOO_WEAK, key(with_roca_fingerprint())),
    "close factors": (TOO_WEAK, key(with_close_factors())),
}
