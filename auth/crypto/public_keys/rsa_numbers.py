"""The two numbers of an RSA public key (RFC 8017 section 3.1), and whether a secret may be sealed to them.

Checked here because libraries take 512-bit keys, e = 3, even moduli and moduli of 100,000 bits. The checks go
from cheap to dear, sizes first, so that nothing costly is done with a number of whatever size a client likes.
"""

from itertools import compress
from math import gcd, isqrt, prod
from typing import NamedTuple

from auth.crypto.public_keys.refusal import invalid, too_weak

MAXIMUM_BITS = 16_384  # OpenSSL works with no more; sealing to one takes 2 ms
MINIMUM_EXPONENT = 65_537  # FIPS 186-5 appendix A.1.1: 2^16 < e, and odd
EXPONENT_LIMIT = 2**64  # enough for every key in use, and keeps sealing fast

_CLOSE_PRIMES_ROUNDS = 32


class RsaNumbers(NamedTuple):
    """A modulus and a public exponent, both positive and so far unchecked."""

    modulus: int
    exponent: int


def check(numbers: RsaNumbers, minimum_bits: int) -> None:
    """Raise PublicKeyRefused unless these can be a sound key's numbers, of at least `minimum_bits` bits."""
    _check_size(numbers.modulus.bit_length(), minimum_bits)
    _check_exponent(numbers.exponent)
    _check_modulus(numbers.modulus)


def _check_size(bits: int, minimum_bits: int) -> None:
    if bits > MAXIMUM_BITS:
        raise invalid(f"The key has {bits} bits; more than {MAXIMUM_BITS} are not taken. Send a smaller key.")
    if bits < minimum_bits:
        raise too_weak(
            f"The key has {bits} bits; at least {minimum_bits} are needed. Make a new one, for example with: "
            f"openssl genrsa -out private.pem {max(minimum_bits, 3072)}"
        )


def _check_exponent(exponent: int) -> None:
    if exponent % 2 == 0:
        raise invalid("The public exponent is even, which no RSA key has. Send the key as its program wrote it.")
    if exponent < MINIMUM_EXPONENT:
        raise invalid(f"The public exponent is below {MINIMUM_EXPONENT}. Make a new key; {MINIMUM_EXPONENT} is usual.")
    if exponent >= EXPONENT_LIMIT:
        raise invalid(f"The public exponent has over 64 bits. Make a new key; {MINIMUM_EXPONENT} is usual.")


def _check_modulus(modulus: int) -> None:
    if modulus % 2 == 0:
        raise invalid("The modulus is even, which no RSA key has. Send the key as its program wrote it.")
    if gcd(modulus, _SMALL_PRIMES_PRODUCT) != 1:
        raise invalid("The modulus has a small factor, so the key is damaged or made up. Make a new key.")
    if _has_roca_fingerprint(modulus):
        raise too_weak("The key was made by a chip with the ROCA fault (CVE-2017-15361). Make a new key elsewhere.")
    if _primes_are_close(modulus):
        raise too_weak("The two primes of the key are too close (CVE-2022-26320). Make a new key elsewhere.")


def _primes_below(limit: int) -> list[int]:
    candidates = bytearray([0, 0]) + bytearray([1]) * (limit - 2)
    for number in range(2, isqrt(limit) + 1):
        if candidates[number]:
            multiples = range(number * number, limit, number)
            candidates[number * number :: number] = bytes(len(multiples))
    return list(compress(range(limit), candidates))


# With a limit of 10,000 the gcd takes 0.3 ms at 16384 bits and 0.05 ms at 2048.
_SMALL_PRIMES_PRODUCT = prod(_primes_below(10_000))


def _powers(base: int, prime: int) -> frozenset[int]:
    return frozenset(pow(base, exponent, prime) for exponent in range(prime - 1))


# Every modulus from the faulty chips is a power of 65537 modulo each of these primes (Nemec et al., "The
# Return of Coppersmith's Attack", CCS 2017, section 3); of other moduli one in 2^27 is.
_ROCA_RESIDUES = {prime: _powers(65_537, prime) for prime in _primes_below(168) if prime > 2}


def _has_roca_fingerprint(modulus: int) -> bool:
    return all(modulus % prime in residues for prime, residues in _ROCA_RESIDUES.items())


def _primes_are_close(modulus: int) -> bool:
    """A few rounds of Fermat's factoring: finds p = q, and primes that a bad generator took side by side."""
    start = isqrt(modulus - 1) + 1
    squares = (middle * middle - modulus for middle in range(start, start + _CLOSE_PRIMES_ROUNDS))
    return any(isqrt(square) ** 2 == square for square in squares)
