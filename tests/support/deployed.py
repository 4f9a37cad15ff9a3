"""Servers in processes of their own, with the machine's clock, and a credential that they know."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt

from tests.support.command import Serving, run
from tests.support.world import OPERATOR, PASSWORD, make_world


class Deployed:
    """Servers with a key file and a database in common, in which there is nothing yet."""

    def __init__(self, data_dir: Path, database_url: str, servers: list[Serving]) -> None:
        self.data_dir, self.settings, self.servers = data_dir, {"database_url": database_url}, servers
        created = run(data_dir, "operator", "create", "--email", OPERATOR, stdin=PASSWORD, **self.settings)
        assert created.exit_code == 0
        world = make_world(servers[0], PASSWORD)
        end = (datetime.now(UTC) + timedelta(days=30)).isoformat()
        operator = servers[0].client(world.operator_token)
        self.gateway = operator.do("createGatewayToken", "token", name="edge", expiresAt=end)["token"]
        wanted = {
            "name": "ci",
            "serviceId": world.alder.services["certificates"],
            "identityId": world.alder.identities["active"],
            "delivery": {"method": "VIEW_AND_COPY"},
        }
        selection = "delivery { ... on ViewAndCopyDelivery { apiKey apiSecret } }"
        self.operator_token, self.service_id = world.operator_token, world.alder.services["certificates"]
        self.member_token = world.alder.tokens["member"]
        member = servers[0].client(self.member_token)
        self.keys = member.do("generateCredential", selection, **wanted)["delivery"]

    def login(self, server: Serving) -> str:
        token: str = server.client().do("login", "accessToken", **self.keys)["accessToken"]
        return token

    def is_active(self, server: Serving, token: str) -> bool:
        headers = {"Authorization": f"Bearer {self.gateway}"}
        answer = httpx.post(f"{server.url}/oauth/introspect", data={"token": token}, headers=headers)
        active: bool = answer.json()["active"]
        return active

    def token_of_the_new_key(self, server: Serving) -> str:
        """A token that another key than the first has signed, as soon as there is one."""
        give_up_at = time.monotonic() + 60
        while jwt.get_unverified_header(token := self.login(server))["kid"] == "token-signing-1":
            assert time.monotonic() < give_up_at, "the new key does not sign"
        return token

    def rotate(self, *arguments: str) -> str:
        rotated = run(self.data_dir, "keys", "rotate", *arguments, **self.settings)
        assert rotated.exit_code == 0, rotated.output
        return rotated.stdout
