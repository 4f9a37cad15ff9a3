"""Hashing passwords is meant to be slow. `hasher` counts how often it is done, `quick_passwords` leaves it out."""

import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from auth import passwords
from tests.support.world import PASSWORD


class CountingHasher:
    """argon2id as ever, and what it was asked to check: the parameters of each hash."""

    def __init__(self) -> None:
        self.checked: list[Parameters] = []
        self._real = PasswordHasher()

    def verify(self, kept: str, password: str) -> bool:
        self.checked.append(extract_parameters(kept))
        return self._real.verify(kept, password)


class QuickHasher:
    """The answers of argon2id without its work: everybody in the world has the same password."""

    def verify(self, kept: str, password: str) -> bool:
        if password != PASSWORD or kept == passwords._NOBODYS:
            raise VerifyMismatchError
        return True

    def hash(self, _password: str) -> str:
        return "whatever it is, it is PASSWORD's"


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    counting = CountingHasher()
    monkeypatch.setattr(passwords, "_HASHER", counting)
    return counting


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", QuickHasher())
