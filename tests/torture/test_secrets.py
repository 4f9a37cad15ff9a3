"""Secrets put where they do not belong; `make torture CAMPAIGN=secrets` puts each everywhere, and lets all fail."""

from pathlib import Path

import pytest

from tests.plugins.database import SqliteDatabases
from torture import secrets
from torture.campaign import CampaignFailed


def test_a_secret_is_nowhere_but_in_its_own_answer(tmp_path: Path) -> None:
    assert "in its own answer alone" in secrets.on(SqliteDatabases(tmp_path), "sqlite", small=True)


@pytest.mark.parametrize("written", [lambda secret: secret, lambda secret: secret.encode().hex()])
def test_the_search_would_find_it(written: object) -> None:
    witness = secrets.Witness()
    secret = witness.learn("password", "correct horse battery staple")
    witness.places["the log"] = f"event=request path={written(secret)}".encode()  # type: ignore[operator]
    with pytest.raises(CampaignFailed, match="a password is in the log"):
        secrets.judge(witness, 1)
