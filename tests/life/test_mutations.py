"""The campaign leaves out no mutation that can touch a credential."""

import re
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from tests.life import operations
from tests.life.model import World
from tests.life.test_whole_life import people
from tests.life.things import MAY, Identity, Service

# With why a credential is the same after it as before.
LEFT_OUT = {
    **dict.fromkeys(["signIn", "signOut", "signOutEverywhere", "changePassword", "acceptInvitation"], "one's sessions"),
    **dict.fromkeys(["createPersonalAccessToken", "createGatewayToken", "revokePersonalAccessToken"], "another key"),
    **dict.fromkeys(["createAccount", "createUser", "renewInvitation"], "nobody there is another one for it"),
    **dict.fromkeys(["createWebhookEndpoint", "removeWebhookEndpoint"], "only told of it"),
    **dict.fromkeys(["login", "verifyCredential", "verifyCredentials"], "how the campaign looks at it after each step"),
}


def test_every_mutation_is_in_the_campaign_or_leaves_credentials_alone() -> None:
    text = Path("schema/schema.graphql").read_text()
    mutations = re.findall(r"^  (\w+)[(:]", text.partition("\ntype Mutation {")[2].partition("\n}")[0], re.MULTILINE)
    assert set(mutations) == set.union(*MAY.values()) | set(LEFT_OUT)
    assert set.union(*MAY.values()).isdisjoint(LEFT_OUT)


def test_every_mutation_of_the_campaign_is_tried_and_comes_to_something() -> None:
    chance, now = Random(0), datetime(2026, 1, 15, 12, tzinfo=UTC)
    tried, done = set(), set()
    for world in (a_world(now) for _ in range(20)):
        for number in range(200):
            operation = operations.anything(chance, world, f"thing {number:04}")
            tried.add(operation.verb)
            if not world.attempt(operation).codes:
                done.add(operation.verb)
    assert tried == done == set.union(*MAY.values())


def a_world(now: datetime) -> World:
    return World(
        now=now,
        people=people(),
        identities={"active": Identity("ACTIVE"), "other": Identity("ACTIVE"), "pending": Identity()},
        services={"certificates": Service("certificates", now)},
        links={("certificates", "active"), ("certificates", "other")},
    )
