"""What one process changes, the others know within a second: told of it, or by asking."""

import time
from pathlib import Path

import httpx
import pytest

from tests.support.command import Serving
from tests.support.deployed import Deployed
from tests.support.server import Client

ISSUER = "https://sealkey.example"
PROMISED_SECONDS = 1.0


def code(deployed: Deployed, server: Serving) -> str:
    """What a gateway is told that asks this process."""
    keys = (deployed.keys["apiKey"], deployed.keys["apiSecret"])
    return httpx.get(f"{server.url}/verify", auth=keys, headers={"X-Sealkey-Gateway-Token": deployed.gateway}).headers[
        "X-Sealkey-Code"
    ]


@pytest.mark.parametrize("notifications", ["on", "off"])
def test_a_change_in_one_process_counts_in_the_other_within_a_second(
    tmp_path: Path, empty_database_url: str, notifications: str
) -> None:
    settings = {"database_url": empty_database_url, "issuer": ISSUER, "notifications": notifications}
    with Serving(tmp_path, **settings) as one, Serving(tmp_path, **settings) as other:
        one.wait()
        other.wait()
        deployed = Deployed(tmp_path, empty_database_url, [one, other])
        operator = one.client(deployed.operator_token)
        told = []
        for mutation, expected in [("suspendService", "SERVICE_SUSPENDED"), ("resumeService", "OK")] * 3:
            code(deployed, other)  # which remembers it
            operator.do(mutation, "service { id }", serviceId=deployed.service_id)
            assert code(deployed, one) == expected
            began = time.monotonic()
            while code(deployed, other) != expected:
                assert time.monotonic() - began < 30, f"{expected} was not heard of"
            told.append(time.monotonic() - began)
        # A session that is ended in one process changes nothing in the other from then on, though it may still read.
        member = other.client(deployed.member_token)
        assert is_known(member)
        sign_out = "mutation { signOut { userErrors { code } } }"
        one.client(deployed.member_token).data(sign_out)
        began = time.monotonic()
        assert [error["extensions"]["code"] for error in member.execute(sign_out)["errors"]] == ["UNAUTHENTICATED"]
        while is_known(member):
            assert time.monotonic() - began < 30, "the end of the session was not heard of"
        told.append(time.monotonic() - began)
    assert max(told) < PROMISED_SECONDS


def is_known(client: Client) -> bool:
    return "errors" not in client.execute("{ viewer { role } }")
