"""How often a credential is used, and when last: known soon, and never at the cost of a write per check."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from models import usage as models_usage
from models.check_facts import CredentialFacts
from models.ids import Kind, global_id
from models.usage import Batch, add_usage
from resolvers import usage
from resolvers.caller import Deployment
from server.housekeeping import Housekeeping
from tests.life.scene import Scene, keys
from tests.plugins.play import StartPlay
from tests.support.logs import recorded_logs
from tests.support.rows import Rows
from tests.support.statements import statements

# No flush but those that a test asks for.
NEVER = 300
USAGE = """query ($id: ID!, $days: Int!) { node(id: $id) { ... on Credential {
    lastUsedAt usage(days: $days) { date allowed denied }
} } }"""


@pytest.fixture
def scene(start_play: StartPlay) -> Scene:
    return Scene(start_play(session_hours=720, session_idle_minutes=43_200, usage_flush_seconds=NEVER))


def used(scene: Scene, generated: Any, days: int = 1) -> dict[str, Any]:
    """What is known of a credential's use."""
    found: dict[str, Any] = scene.operator.data(USAGE, id=generated["credential"]["id"], days=days)
    return found


def day(date: str, allowed: int, denied: int) -> dict[str, Any]:
    return {"date": date, "allowed": allowed, "denied": denied}


def test_what_was_counted_is_shown_once_it_is_written_down(scene: Scene) -> None:
    generated = scene.generate(allowedNetworks=["192.0.2.0/24"])
    for address in ("192.0.2.1", "192.0.2.2", "198.51.100.1"):
        scene.check(generated, clientAddress=address)
    assert used(scene, generated) == {"lastUsedAt": None, "usage": [day("2026-01-15", 0, 0)]}
    scene.play.server.keep_house()
    assert used(scene, generated) == {
        "lastUsedAt": "2026-01-15T12:00:00Z",
        "usage": [day("2026-01-15", 2, 1)],
    }


def test_a_wrong_secret_counts_for_nobody(scene: Scene) -> None:
    generated, other = scene.generate("ci"), scene.generate("other")
    mixed = {"apiKey": keys(generated)["apiKey"], "apiSecret": keys(other)["apiSecret"]}
    scene.gateway.do("verifyCredential", "code", **mixed)
    scene.gateway.mutate("login", "scope", **mixed)
    scene.play.server.keep_house()
    assert used(scene, generated) == used(scene, other) == {"lastUsedAt": None, "usage": [day("2026-01-15", 0, 0)]}


def test_logins_count_as_checks_do(scene: Scene) -> None:
    generated = scene.generate()
    assert scene.login(generated) == "scope: certificates"
    scene.member.do("revokeCredential", "credential { id }", credentialId=generated["credential"]["id"])
    assert scene.login(generated) == "CREDENTIAL_NOT_ACTIVE"
    scene.play.server.keep_house()
    assert used(scene, generated)["usage"] == [day("2026-01-15", 1, 1)]


def test_the_last_use_is_known_to_the_minute(scene: Scene) -> None:
    generated = scene.generate()
    for second, shown in ((0, "12:00"), (59, "12:00"), (60, "12:01"), (61, "12:01"), (3599, "12:59")):
        scene.at(datetime(2026, 1, 15, 12, 0, tzinfo=UTC) + timedelta(seconds=second))
        scene.check(generated)
        scene.play.server.keep_house()
        assert used(scene, generated)["lastUsedAt"] == f"2026-01-15T{shown}:00Z"


def test_only_who_is_let_in_uses_a_credential(scene: Scene) -> None:
    generated = scene.generate()
    scene.check(generated)
    scene.clock.advance(hours=1)
    scene.operator.do("suspendService", "service { id }", serviceId=scene.alder.services["certificates"])
    assert scene.check(generated)[0] == "SERVICE_SUSPENDED"
    scene.play.server.keep_house()
    assert used(scene, generated) == {"lastUsedAt": "2026-01-15T12:00:00Z", "usage": [day("2026-01-15", 1, 1)]}


def test_a_day_ends_at_midnight_in_utc(scene: Scene) -> None:
    generated = scene.generate()
    midnight = datetime(2026, 1, 16, tzinfo=UTC)
    for at in (midnight - timedelta(seconds=1), midnight, midnight):
        scene.at(at)
        scene.check(generated)
    scene.play.server.keep_house()
    scene.operator = scene.sign_in("operator")
    assert used(scene, generated, days=3)["usage"] == [
        day("2026-01-14", 0, 0),
        day("2026-01-15", 1, 0),
        day("2026-01-16", 2, 0),
    ]


def test_what_was_written_down_before_is_added_to(scene: Scene) -> None:
    generated = scene.generate()
    for total in (1, 2, 3):
        scene.check(generated)
        scene.play.server.keep_house()
        scene.play.server.keep_house()
        assert used(scene, generated)["usage"] == [day("2026-01-15", total, 0)]


@pytest.mark.parametrize("days", [1, 90])
def test_from_one_day_to_ninety_can_be_asked_for(scene: Scene, days: int) -> None:
    shown = used(scene, scene.generate(), days)["usage"]
    assert [each["date"] for each in shown] == [
        (scene.clock() - timedelta(days=ago)).date().isoformat() for ago in reversed(range(days))
    ]


@pytest.mark.parametrize("days", [0, -1, 91, 2**31 - 1])
def test_no_other_number_of_days_can(scene: Scene, days: int) -> None:
    assert scene.operator.error_code(USAGE, id=scene.generate()["credential"]["id"], days=days) == "BAD_USER_INPUT"


def test_thirty_days_are_shown_where_no_number_is_given(scene: Scene) -> None:
    document = "query ($id: ID!) { node(id: $id) { ... on Credential { usage { date } } } }"
    assert len(scene.operator.data(document, id=scene.generate()["credential"]["id"])["usage"]) == 30


def test_ninety_days_are_kept_and_not_for_ever(scene: Scene) -> None:
    generated = scene.generate()
    scene.check(generated)
    scene.play.server.keep_house()
    first = day("2026-01-15", 1, 0)
    rows = Rows(scene.play.server.database_url)
    scene.at(datetime(2026, 4, 14, 23, 59, 59, tzinfo=UTC))  # the ninetieth day
    scene.play.server.keep_house()
    scene.operator = scene.sign_in("operator")
    assert used(scene, generated, days=90)["usage"][0] == first
    scene.at(datetime(2026, 4, 16, tzinfo=UTC))
    scene.play.server.keep_house()
    assert rows.execute("SELECT day FROM credential_usage") == rows.execute("SELECT day FROM usage_batches") == []


def test_what_is_too_old_is_removed_some_at_a_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_usage, "_FORGOTTEN_AT_ONCE", 1)
    for name in ("one", "two"):
        scene.check(scene.generate(name))
    scene.play.server.keep_house()
    rows = Rows(scene.play.server.database_url)
    assert rows.execute("SELECT count(*) FROM credential_usage") == [(2,)]
    scene.at(datetime(2026, 4, 16, tzinfo=UTC))
    with statements(of_requests=False) as seen:
        scene.play.server.keep_house()
    removing = [statement for statement in seen if statement.startswith("DELETE FROM credential_usage")]
    assert ["LIMIT 1" in statement for statement in removing] == [True] * 3
    assert rows.execute("SELECT count(*) FROM credential_usage") == [(0,)]


def test_nobody_reads_the_use_of_what_they_do_not_see(scene: Scene) -> None:
    generated = scene.generate()
    for client in (scene.play.other_administrator, scene.play.other_member):
        assert client.data(USAGE, id=generated["credential"]["id"], days=1) is None
    assert scene.play.auditor.data(USAGE, id=generated["credential"]["id"], days=1)["lastUsedAt"] is None


def test_checks_write_nothing(scene: Scene) -> None:
    """What they are counted for is written down once, for any number of them."""
    generated = scene.generate()
    scene.check(generated)  # notes that the gateway's token was used, as once a minute
    with statements() as seen:
        for _ in range(20):
            scene.check(generated)
        scene.gateway.do("verifyCredentials", "results { code }", credentials=[keys(generated)] * 100)
    assert {statement.split(None, 1)[0].upper() for statement in seen} == {"SELECT"}

    with statements(of_requests=False) as seen:
        scene.play.server.keep_house()
    assert len([statement for statement in seen if "INSERT INTO credential_usage" in statement]) == 1
    assert used(scene, generated)["usage"] == [day("2026-01-15", 121, 0)]


@pytest.mark.parametrize("was_committed", [False, True])
def test_a_failed_flush_loses_and_doubles_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, was_committed: bool
) -> None:
    """Neither what was counted before nor what is counted meanwhile, though all that is lost is the word that it was
    written."""
    generated = scene.generate()
    scene.check(generated)

    async def fail(batch: Batch) -> None:
        if was_committed:
            await add_usage(batch)
        raise OSError("the database is away")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(usage, "add_usage", fail)
        with pytest.raises(OSError, match="away"):
            scene.play.server.keep_house()
    scene.clock.advance(minutes=1)
    scene.check(generated)
    scene.play.server.keep_house()
    assert used(scene, generated) == {"lastUsedAt": "2026-01-15T12:01:00Z", "usage": [day("2026-01-15", 2, 0)]}


def test_what_was_counted_of_a_credential_that_the_database_lost_keeps_nothing_else_from_being_written(
    scene: Scene,
) -> None:
    """As a standby that took over has it, to which that credential had not come."""
    generated = scene.generate()
    scene.check(generated)

    async def count(deployment: Deployment) -> None:
        lost = SimpleNamespace(id=global_id(Kind.CREDENTIAL, uuid4()).encode(), used_at=None)
        deployment.usage.count(cast(CredentialFacts, lost), scene.clock(), allowed=True)

    scene.play.server.run(count)
    scene.play.server.keep_house()
    assert used(scene, generated) == {"lastUsedAt": "2026-01-15T12:00:00Z", "usage": [day("2026-01-15", 1, 0)]}


def flush_when_due(scene: Scene) -> None:
    house: Housekeeping = scene.play.server.app.state.housekeeping
    scene.play.server.run(lambda _: house.flush_when_due())


def test_while_nothing_can_be_written_the_oldest_counts_are_dropped_and_no_last_use(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_MOST_KEPT", 2)
    monkeypatch.setattr(usage, "_ROWS_AT_ONCE", 1)
    generated = [scene.generate(name, expiry={"months": 6}) for name in ("first", "second")]

    async def fail(_batch: Batch) -> None:
        raise OSError("the database is away")

    monkeypatch.setattr(usage, "add_usage", fail)
    with recorded_logs() as logs:
        for at in range(1, 4):
            scene.clock.advance(days=1)
            scene.check(generated[0])
            if at < 3:
                scene.check(generated[1])
            with pytest.raises(OSError, match="away"):
                flush_when_due(scene)
    assert logs.getvalue().count("usage_dropped") == 1
    monkeypatch.undo()
    scene.play.server.keep_house()
    scene.operator = scene.sign_in("operator")
    none = [day(f"2026-01-{at}", 0, 0) for at in (16, 17, 18)]
    assert [used(scene, each, days=3) for each in generated] == [
        {"lastUsedAt": "2026-01-18T12:00:00Z", "usage": [*none[:2], day("2026-01-18", 1, 0)]},
        {"lastUsedAt": "2026-01-17T12:00:00Z", "usage": [none[0], day("2026-01-17", 1, 0), none[2]]},
    ]


def test_writing_down_takes_a_twentieth_of_the_time_at_most(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """But it is done once a minute, and sooner where much is to be written."""
    seconds, written, takes = 0.0, [], 2.0

    async def write(batch: Batch) -> None:
        nonlocal seconds
        seconds += takes
        written.append(len(batch.counts))

    monkeypatch.setattr(usage, "add_usage", write)
    counter = usage.UsageCounter(lambda: seconds)

    def check(credentials: int = 1) -> None:
        for number in range(credentials):
            facts = SimpleNamespace(id=b"cred_%d" % number, used_at=None)
            counter.count(cast(CredentialFacts, facts), scene.clock(), allowed=True)

    def went(by: float) -> int:
        """How many credentials were written down after so many seconds."""
        nonlocal seconds
        seconds += by
        before = sum(written)
        asyncio.run(counter.flush_when_due())
        return sum(written) - before

    check()
    assert went(0) == 1  # which took 2 seconds
    check()
    assert (went(37.9), went(0.1)) == (0, 1)
    takes = 10.0
    check()
    assert went(38) == 1
    check()
    assert (went(59.9), went(0.1)) == (0, 1)
    takes = 0.0
    check(101_000)
    assert went(1) == 101_000
