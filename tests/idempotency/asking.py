"""Asking for credentials with an idempotency key."""

from typing import Any

from tests.auth.crypto import keys
from tests.support.server import Client
from tests.support.world import GENERATED, AccountWorld, Play

KEY = "Zm9ydHktdHdvLXJhbmRvbS1ieXRlcw"
OTHER_KEY = "b3RoZXItcmFuZG9tLWJ5dGVzLWhlcmU"
SHOWN = {"method": "VIEW_AND_COPY"}
ROTATED = f"predecessor {{ id status expiresAt }} {GENERATED}"


def sealed(format_: str = "CMS") -> dict[str, str]:
    """A delivery by encrypted file."""
    return {"method": "ENCRYPTED_FILE", "publicKey": keys.spki_pem(keys.public_key()), "format": format_}


def generation(account: AccountWorld, **but: Any) -> dict[str, Any]:
    """The input of a generation in an account."""
    return {
        "name": "ci",
        "serviceId": account.services["certificates"],
        "identityId": account.identities["active"],
        "delivery": SHOWN,
        "idempotencyKey": KEY,
        **but,
    }


def generate(play: Play, client: Client | None = None, **but: Any) -> Any:
    return (client or play.member).do("generateCredential", GENERATED, **generation(play.alder, **but))


def refusals(play: Play, client: Client | None = None, **but: Any) -> list[tuple[str, list[str] | None]]:
    """Of a generation."""
    return (client or play.member).refusals("generateCredential", GENERATED, **generation(play.alder, **but))


def rotation(credential_id: str, **but: Any) -> dict[str, Any]:
    """The input of a rotation."""
    return {"credentialId": credential_id, "delivery": SHOWN, "idempotencyKey": KEY, **but}


def rotate(play: Play, credential_id: str, **but: Any) -> Any:
    return play.member.do("rotateCredential", ROTATED, **rotation(credential_id, **but))


def count(play: Play) -> int:
    """How many credentials the member has."""
    total: int = play.member.data("{ credentials { totalCount } }")["totalCount"]
    return total


def verdict(play: Play, delivery: dict[str, str]) -> str:
    """What a gateway is told of a key and secret."""
    keys_ = {name: delivery[name] for name in ("apiKey", "apiSecret")}
    code: str = play.operator.do("verifyCredential", "code", **keys_)["code"]
    return code
