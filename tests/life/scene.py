"""A play whose clock is moved far: people sign in when they are needed, and a gateway looks on."""

from datetime import datetime, timedelta
from typing import Any

from tests.support.server import START, Client
from tests.support.world import GENERATED, OPERATOR, PASSWORD, Play

Keys = dict[str, str]

ROTATED = f"{GENERATED} predecessor {{ id status usable expiresAt }}"
HERE = "127.0.0.1"


class Scene:
    """What happens in the first account of a play."""

    def __init__(self, play: Play) -> None:
        self.play, self.clock = play, play.clock
        self.alder, self.birch = play.alder, play.birch
        at_the_start = self.clock() == START
        self.operator = play.operator if at_the_start else self.sign_in("operator")
        self.member = play.member if at_the_start else self.sign_in("member")
        end = self.clock() + timedelta(days=1800)
        token = self.operator.do("createGatewayToken", "token", name="gateway", expiresAt=end.isoformat())["token"]
        self.gateway = play.server.client(token)

    def sign_in(self, who: str) -> Client:
        """A new session of the operator's, or of somebody's of the account."""
        email = OPERATOR if who == "operator" else f"{who}@alder.example"
        signed_in = self.play.nobody.do("signIn", "sessionToken", email=email, password=PASSWORD)
        return self.play.server.client(signed_in["sessionToken"])

    def generate(self, name: str = "ci", **fields: Any) -> Any:
        """The payload of a credential of the member's."""
        return self.play.generate(name, self.member, **fields)

    def rotate(self, generated: Any, **fields: Any) -> Any:
        """The payload of a rotation, with a day of grace unless told otherwise."""
        wanted = {"credentialId": generated["credential"]["id"], "delivery": {"method": "VIEW_AND_COPY"}, **fields}
        return self.member.do("rotateCredential", ROTATED, **wanted)

    def check(self, generated: Any, **question: Any) -> tuple[str, str]:
        """What a gateway is answered about a credential: why, and what status it has."""
        payload = self.gateway.do("verifyCredential", "code credential { status }", **keys(generated), **question)
        return payload["code"], payload["credential"]["status"]

    def login(self, generated: Any) -> str:
        """The scope that a credential's token has, or why there is none. A gateway passes it on, which may fail as
        often as it likes."""
        payload = self.gateway.mutate("login", "scope", **keys(generated))
        codes = [error["code"] for error in payload["userErrors"]]
        return codes[0] if codes else f"scope: {payload['scope']}"

    def at(self, instant: datetime) -> None:
        self.clock.now = instant


def keys(generated: Any) -> Keys:
    return {name: generated["delivery"][name] for name in ("apiKey", "apiSecret")}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
