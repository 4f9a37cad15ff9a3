"""Who is who, by password and by token of the provider's."""

from functools import cache
from typing import Any

from tests.support.server import Client
from tests.support.world import OPERATOR, PASSWORD, Play

ADMINISTRATOR = "administrator@alder.example"
VIEWER = """{
    viewer { user { id email displayName role apiAccess } account { name } role permissions }
}"""


def by_password(play: Play, email: str = OPERATOR) -> Client:
    """Somebody of the world, signed in now."""
    return play.server.client(play.nobody.do("signIn", "sessionToken", email=email, password=PASSWORD)["sessionToken"])


def viewer(play: Play, token: str) -> Any:
    """Whom a token signs in."""
    return play.server.client(token).data(VIEWER)


def is_refused(play: Play, token: str) -> bool:
    """Whether a token signs nobody in. Whoever sends it is told no more than who sends what is none."""
    response = play.server.client(token).post(VIEWER)
    return (response.status_code, response.json()) == _with_nonsense_sent(play.server.url)


@cache
def _with_nonsense_sent(url: str) -> tuple[int, Any]:
    response = Client(url, "nonsense").post(VIEWER)
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    return response.status_code, response.json()


def emails(operator: Client) -> set[str]:
    """Everybody there is."""
    nodes = operator.data("{ users(first: 100) { nodes { email } } }")["nodes"]
    return {node["email"] for node in nodes}


def events(play: Play, *types: str) -> list[dict[str, Any]]:
    document = """query ($types: [String!]) {
        auditEvents(filter: {types: $types}) { nodes { type summary actor { email } subjectId } }
    }"""
    nodes: list[dict[str, Any]] = by_password(play).data(document, types=list(types))["nodes"]
    return nodes
