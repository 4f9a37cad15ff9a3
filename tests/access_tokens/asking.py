"""Asking for tokens, and with them."""

from datetime import datetime, timedelta
from typing import Any

from tests.support.server import Client, FakeClock
from tests.support.world import Play

TOKENS = """{ accessTokens(first: 100) { nodes {
    id kind name permissions account { name } createdAt expiresAt revokedAt lastUsedAt
} } }"""


def later(clock: FakeClock, **amount: float) -> str:
    return written(clock.now + timedelta(**amount))


def written(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def personal(play: Play, owner: Client, *permissions: str, **fields: Any) -> Any:
    """A new personal access token: `token` and `tokenId`."""
    wanted = {"name": "ci", "permissions": permissions, "expiresAt": later(play.clock, days=30), **fields}
    return owner.do("createPersonalAccessToken", "token tokenId", **wanted)


def gateway(play: Play, maker: Client, **fields: Any) -> Any:
    """A new gateway token."""
    wanted = {"name": "edge", "expiresAt": later(play.clock, days=365), **fields}
    return maker.do("createGatewayToken", "token tokenId", **wanted)


def bearer(play: Play, made: Any) -> Client:
    return play.server.client(made["token"])


def listed(client: Client) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = client.data(TOKENS)["nodes"]
    return nodes


def works(client: Client) -> bool:
    """Whether a token still stands for anybody."""
    answer = client.execute("{ viewer { role } }")
    codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
    assert codes in ([], ["FORBIDDEN"], ["UNAUTHENTICATED"])
    return codes != ["UNAUTHENTICATED"]


def revoke(client: Client, made: Any) -> None:
    client.do("revokePersonalAccessToken", "__typename", tokenId=made["tokenId"])


def events(play: Play, *types: str) -> list[dict[str, Any]]:
    document = """query ($types: [String!]) {
        auditEvents(filter: {types: $types}) { nodes { type summary subjectId actor { email } } }
    }"""
    nodes: list[dict[str, Any]] = play.operator.data(document, types=list(types))["nodes"]
    return nodes
