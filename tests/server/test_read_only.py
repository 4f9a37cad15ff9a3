"""A database that takes no writes is read from: what is only noted beside is then not noted."""

import httpx
import pytest
from tortoise.connection import get_connections

from resolvers.caller import Deployment
from tests.support.world import Play

pytestmark = pytest.mark.engine("sqlite")


def test_who_is_known_reads_and_has_credentials_checked(play: Play) -> None:
    keys = play.keys()
    expires_at = play.clock.in_(days=30)
    gateway = play.administrator.do("createGatewayToken", "token", name="edge", expiresAt=expires_at)["token"]

    async def refuse_writes(_deployment: Deployment) -> None:
        await get_connections().get("default").execute_query("PRAGMA query_only = ON")

    play.server.run(refuse_writes)
    play.clock.advance(minutes=2)  # so that it is time to note that they were here
    assert play.auditor.data("{ viewer { role } }") == {"role": "AUDITOR"}
    checked = httpx.get(
        f"{play.server.url}/verify",
        auth=(keys["apiKey"], keys["apiSecret"]),
        headers={"X-Sealkey-Gateway-Token": gateway},
    )
    assert checked.status_code == 200
    made = play.operator.post('mutation { createAccount(input: {name: "Elder"}) { account { id } } }')
    assert (made.status_code, made.headers["Retry-After"]) == (503, "1")
