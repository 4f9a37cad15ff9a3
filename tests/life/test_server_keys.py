"""The server's keys are replaced while it serves: no credential, no webhook and no event of the audit log is lost, and
a key goes when nothing needs it any more."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from auth.crypto.key_sealing import Unsealed
from auth.crypto.keyring import Keyring, KeyringUnreadable, Purpose, add_keys, read_keyring
from auth.crypto.keyring_file import replace_keyring
from models.audit import AuditEvent
from resolvers import credentials, server_keys
from resolvers.audit import event_hash
from resolvers.audit_hash import EventHasher
from resolvers.caller import Caller, Deployment
from resolvers.key_changes import KeyFile, RotationRefused, retire_key
from resolvers.rehashing import KeyMissing
from resolvers.server_keys import GivenKeys
from tests.plugins.play import StartPlay
from tests.server.test_health import readiness
from tests.support.audit import deployment_events
from tests.support.server_keys import LEAD, ServerKeys
from tests.support.statements import statements
from tests.support.world import Play

HASHING, SEALING, AUDIT = Purpose.CREDENTIAL_HASHING, Purpose.SEALING, Purpose.AUDIT_HASHING
OLD, NEW = "credential-hashing-1", "credential-hashing-2"


@pytest.fixture
def keys(start_play: StartPlay) -> ServerKeys:
    """Of a play in which nothing is written down but when the test says so."""
    return ServerKeys(start_play(usage_flush_seconds=300))


def refusal(do: Callable[[], object]) -> str:
    with pytest.raises(RotationRefused) as refused:
        do()
    return str(refused.value)


# ---------------------------------------------------------------- credentials


def test_a_use_takes_a_credential_to_the_newest_key_and_the_others_stay_good(keys: ServerKeys) -> None:
    play = keys.play
    used, unused = play.keys("used"), play.keys("unused")
    assert keys.check(used) == 200  # and is remembered
    keys.rotate(HASHING)
    play.clock.advance(minutes=14, seconds=59)
    keys.look()
    play.keys("before")
    keys.check(used)
    keys.write_down()
    assert set(keys.hashed_under().values()) == {OLD}
    play.clock.advance(seconds=1)
    keys.look()
    after = play.keys("after")
    assert [keys.check(each) for each in (used, used, after)] == [200, 200, 200]
    assert keys.hashed_under()["used"] == OLD  # nobody waits for it
    keys.write_down()
    assert keys.hashed_under() == {"used": NEW, "unused": OLD, "before": OLD, "after": NEW}
    play.server.forget()
    assert [keys.check(each) for each in (used, unused, after)] == [200, 200, 200]
    assert keys.check({**used, "apiSecret": unused["apiSecret"]}) == 401


def test_logging_in_is_a_use_and_a_wrong_secret_is_none(keys: ServerKeys) -> None:
    play = keys.play
    one, other = play.keys("one"), play.keys("other")
    keys.replace(HASHING)
    play.nobody.do("login", "accessToken", **one)
    assert keys.check({**other, "apiSecret": one["apiSecret"]}) == 401
    keys.write_down()
    assert keys.hashed_under() == {"one": NEW, "other": OLD}


def test_processes_that_hash_the_same_anew_do_not_upset_each_other(keys: ServerKeys) -> None:
    shown = keys.play.keys()
    other = keys.another_process()
    keys.replace(HASHING)
    other.look()
    assert keys.check(shown) == 200
    assert other.lets_in(shown)
    keys.write_down()
    ((first,),) = keys.play.rows.execute("SELECT secret_hash FROM credentials")
    other.write_down()
    assert keys.play.rows.execute("SELECT secret_hash FROM credentials") == [(first,)]
    assert other.lets_in(shown)


def test_what_could_not_be_written_down_before_the_next_rotation_is_hashed_anew_again(keys: ServerKeys) -> None:
    """As where the database takes no writes meanwhile."""
    shown = keys.play.keys("ci")
    keys.replace(HASHING)
    assert keys.check(shown) == 200
    keys.replace(HASHING)
    assert keys.check(shown) == 200
    keys.write_down()
    assert keys.hashed_under() == {"ci": "credential-hashing-3"}
    assert keys.check(shown) == 200


def test_what_was_revoked_or_rotated_meanwhile_stays_so(keys: ServerKeys) -> None:
    play = keys.play
    made = play.generate("ci")
    shown = {key: made["delivery"][key] for key in ("apiKey", "apiSecret")}
    keys.replace(HASHING)
    assert keys.check(shown) == 200
    play.member.do("revokeCredential", "credential { id }", credentialId=made["credential"]["id"], reason="SUPERSEDED")
    keys.write_down()
    assert play.rows.execute("SELECT hashing_key_id, revocation_reason FROM credentials") == [(NEW, "SUPERSEDED")]
    assert keys.check(shown) == 401


def test_a_process_that_has_not_been_given_a_key_says_so_instead_of_denying(keys: ServerKeys) -> None:
    other = keys.another_process()
    keys.replace(HASHING)
    shown = keys.play.keys()
    with pytest.raises(KeyMissing, match=NEW):
        other.lets_in(shown)
    other.look()
    assert other.lets_in(shown)


def test_what_can_not_be_checked_for_want_of_a_key_is_answered_503(keys: ServerKeys) -> None:
    play, shown = keys.play, keys.play.keys()
    row = {"id": NEW, "check_value": "of no key here", "created_at": play.clock.now}
    play.rows.insert("server_keys", row)
    play.rows.execute(f"UPDATE credentials SET hashing_key_id = '{NEW}', secret_hash = '{'0' * 64}'")
    assert keys.check(shown) == 503
    document = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }"
    assert play.nobody.error_code(document, input=shown) == "UNAVAILABLE"


def test_a_server_that_lacks_a_key_is_not_ready_from_when_it_is_wanted_until_it_is_there(keys: ServerKeys) -> None:
    """As of a copy of the key file, after a rotation of which another server has the result already."""
    play, shown, now = keys.play, keys.play.keys(), keys.play.clock.now
    changed = add_keys(keys.path.read_bytes(), [HASHING], now=now, starts_at=now, ends={})
    check_value = read_keyring(changed).check_values()[NEW]
    play.rows.insert("server_keys", {"id": NEW, "check_value": check_value, "created_at": now})
    play.rows.execute(f"UPDATE credentials SET hashing_key_id = '{NEW}', secret_hash = '{'0' * 64}'")
    assert readiness(play) == (200, "ok")
    assert keys.check(shown) == 503
    assert readiness(play) == (503, "keys_missing")
    replace_keyring(keys.path, changed)
    keys.look()
    assert readiness(play) == (200, "ok")
    assert keys.check(shown) == 401


def test_a_copy_of_the_keys_from_before_is_told_of_and_denies_nobody(keys: ServerKeys) -> None:
    play, whole = keys.play, keys.path.read_bytes()
    keys.rotate(HASHING)
    shown = play.keys()
    newest = keys.path.read_bytes()
    replace_keyring(keys.path, whole)
    keys.look()
    answer = play.server.run(_trouble)
    assert answer is not None
    assert answer.startswith(f"the server key {NEW} is missing, which the database knows since")
    assert keys.check(shown) == 200
    replace_keyring(keys.path, newest)
    keys.look()
    assert play.server.run(_trouble) is None


def test_what_is_wrong_with_the_keys_is_wrong_still_while_nobody_can_be_asked(
    keys: ServerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = GivenKeys(keys.play.server.run(_keyring))
    keys.rotate(HASHING)

    async def follow(deployment: Deployment) -> None:
        await before.follow(Caller(None, None, deployment.clock(), deployment))

    async def is_away(*_: object, **__: object) -> None:
        raise ConnectionError

    with pytest.raises(KeyringUnreadable):
        keys.play.server.run(follow)
    keys.play.clock.advance(minutes=1)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(server_keys, "confirm_keys", is_away)
        with pytest.raises(ConnectionError):
            keys.play.server.run(follow)
    assert before.trouble is not None
    keys.play.clock.advance(minutes=1)
    keys.play.server.run(follow)
    assert before.trouble is not None, "which was told before"


async def _keyring(deployment: Deployment) -> Keyring:
    return deployment.keyring


async def _trouble(deployment: Deployment) -> str | None:
    return deployment.keys.trouble


# ---------------------------------------------------------------- webhooks, the audit log, throttling


def test_webhook_secrets_are_sealed_anew_by_themselves_and_sign_as_before(keys: ServerKeys) -> None:
    play = keys.play
    wanted = {"url": "https://hooks.example/1", "eventTypes": ["CREDENTIAL_REVOKED"]}
    play.administrator.do("createWebhookEndpoint", "signingSecret", **wanted)
    ((before,),) = play.rows.execute("SELECT sealed_secret FROM webhook_endpoints")
    keys.rotate(SEALING)
    keys.write_down()
    assert play.rows.execute("SELECT sealed_secret FROM webhook_endpoints") == [(before,)]
    told = refusal(lambda: keys.retire("sealing-1"))
    assert told == "sealing-1 is in use: sealing-2 takes over at 2026-01-15T12:15:00Z, and it can retire after that."
    play.clock.advance(minutes=20)
    assert refusal(lambda: keys.retire("sealing-1")).startswith("sealing-1 is needed by 1 webhook endpoint still: ")
    keys.write_down()
    ((key_id, after),) = play.rows.execute("SELECT sealing_key_id, sealed_secret FROM webhook_endpoints")
    assert (key_id, after == before) == ("sealing-2", False)
    keys.retire("sealing-1")
    keys.write_down()


def test_events_are_verified_by_the_key_of_their_time_which_stays(keys: ServerKeys) -> None:
    play = keys.play
    keys.replace(AUDIT)
    play.keys()
    events, keyring = play.server.run(_of_alder), read_keyring(keys.path.read_bytes())
    assert {event.hashing_key_id for event in events} == {"audit-hashing-1", "audit-hashing-2"}
    previous = ""
    for event in events:
        assert event.hash == event_hash(EventHasher(keyring.symmetric_keys), event, previous)
        previous = event.hash
    told = refusal(lambda: keys.retire("audit-hashing-1", forced=True))
    assert told.endswith("audit events still, which nobody could verify without it: it stays, and makes nothing new.")


async def _of_alder(_: Deployment) -> list[AuditEvent]:
    (chain,) = await AuditEvent.filter(type="credential.generated").values_list("chain_id", flat=True)
    return await AuditEvent.filter(chain_id=chain).order_by("sequence")


def test_nobody_gets_new_tries_by_a_rotation(keys: ServerKeys) -> None:
    play = keys.play
    guess = {"email": "member@alder.example", "password": "not the right one"}
    play.nobody.refusals("signIn", "sessionToken", **guess)
    counted = play.rows.execute("SELECT key, tries FROM throttles ORDER BY key")
    keys.rotate(AUDIT, starts_in=timedelta(seconds=5))
    play.clock.advance(seconds=5)
    play.nobody.refusals("signIn", "sessionToken", **guess)
    again = play.rows.execute("SELECT key, tries FROM throttles ORDER BY key")
    assert [key for key, _ in again] == [key for key, _ in counted]
    assert sum(tries for _, tries in again) > sum(tries for _, tries in counted)


# ---------------------------------------------------------------- retiring


def test_a_hashing_key_retires_when_no_living_credential_needs_it(keys: ServerKeys) -> None:
    play = keys.play
    used, unused = play.keys("used"), play.generate("unused")
    keys.replace(HASHING)
    keys.check(used)
    keys.write_down()
    assert refusal(lambda: keys.retire(OLD)).startswith(f"{OLD} is needed by 1 credential still, not used since")
    play.member.do(
        "revokeCredential", "credential { id }", credentialId=unused["credential"]["id"], reason="SUPERSEDED"
    )
    assert keys.retire(OLD) == 0
    assert OLD not in read_keyring(keys.path.read_bytes()).symmetric_keys
    assert keys.check(used) == 200
    # Of what has ended anyway nothing more is known, and it is no fault either.
    assert keys.check({key: unused["delivery"][key] for key in ("apiKey", "apiSecret")}) == 401
    assert deployment_events(play)[-1][3] == f"The server key {OLD} was retired"
    assert refusal(lambda: keys.retire(OLD)).startswith(f"{OLD} was retired before, at ")


def test_after_a_leak_what_is_hashed_under_the_key_still_is_revoked(keys: ServerKeys) -> None:
    play = keys.play
    used, unused = play.keys("used"), play.keys("unused")
    assert [keys.check(each) for each in (used, unused)] == [200, 200]
    other = keys.another_process()
    assert other.lets_in(unused)
    keys.replace(HASHING)
    keys.check(used)
    keys.write_down()
    assert keys.retire(OLD, forced=True) == 1
    found = play.rows.execute("SELECT name, revocation_reason FROM credentials ORDER BY name")
    assert found == [("unused", "KEY_COMPROMISE"), ("used", None)]
    play.server.run(lambda deployment: deployment.memory.refresh())
    assert [keys.check(each) for each in (used, unused)] == [200, 401]


def test_where_the_file_can_not_be_sealed_nothing_is_revoked(keys: ServerKeys) -> None:
    play = keys.play
    shown = play.keys()
    keys.replace(HASHING)

    class Broken(Unsealed):
        def seal(self, data: bytes) -> bytes:
            raise KeyringUnreadable("what seals it is away")

    async def retire(deployment: Deployment) -> None:
        caller = Caller(None, None, deployment.clock(), deployment)
        await retire_key(caller, KeyFile(keys.path, Broken()), OLD, forced=True)

    with pytest.raises(KeyringUnreadable, match="away"):
        play.server.run(retire)
    play.server.forget()
    assert keys.check(shown) == 200


def test_however_many_are_hashed_under_a_key_that_leaked_all_are_revoked(
    keys: ServerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_READ_AT_ONCE", 2)
    for name in ("one", "two", "three"):
        keys.play.keys(name)
    keys.replace(HASHING)
    with statements(of_requests=False) as seen:
        assert keys.retire(OLD, forced=True) == 3
    listing = [each for each in seen if '"hashing_key_id"=' in each and "ORDER BY" in each]
    assert ["LIMIT" in each for each in listing] == [True, True, True]


def test_a_key_that_comes_back_in_an_old_copy_is_not_used(keys: ServerKeys) -> None:
    play, shown = keys.play, keys.play.keys()
    before = read_keyring(keys.path.read_bytes()).symmetric_keys[OLD]
    keys.replace(HASHING)
    with_both = keys.path.read_bytes()
    keys.retire(OLD, forced=True)
    replace_keyring(keys.path, with_both)
    keys.look()
    assert before.id not in play.server.run(_symmetric_ids)
    assert keys.check(shown) == 401


async def _symmetric_ids(deployment: Deployment) -> list[str]:
    return list(deployment.keyring.symmetric_keys)


IN_USE = {
    OLD: f"{NEW} has only just come into use, and something may be made under {OLD} still",
    NEW: f"{NEW} is in use: `sealkey keys rotate --purpose credential-hashing` adds another",
    "credential-hashing-3": "There is no key credential-hashing-3: `sealkey keys list` shows",
    "nonsense": "There is no key nonsense",
    "token-signing-1": "token-signing-1 is in use",
}


def test_a_key_that_is_in_use_does_not_retire(keys: ServerKeys) -> None:
    keys.rotate(HASHING)
    assert refusal(partial(keys.retire, NEW)).startswith(f"{NEW} is to be used: ")
    keys.play.clock.now += LEAD
    for key_id, told in IN_USE.items():
        for forced in (False, True):
            assert refusal(partial(keys.retire, key_id, forced=forced)).startswith(told)


def test_a_key_retires_five_minutes_after_its_own_successor_came_into_use_whatever_was_added_since(
    keys: ServerKeys,
) -> None:
    """As after a leak, when there had been rotations before, and there is another one while the first is awaited."""
    clock = keys.play.clock
    keys.replace(HASHING)
    keys.rotate(HASHING, starts_in=timedelta(seconds=5), drops_older=True)
    clock.advance(seconds=6)
    assert keys.retire(OLD, forced=True) == 0
    settled_at = clock.in_(minutes=5, seconds=-1)
    assert refusal(lambda: keys.retire(NEW, forced=True)).endswith(f"retire it from {settled_at} on.")
    clock.advance(minutes=4, seconds=50)
    keys.rotate(HASHING, starts_in=timedelta(seconds=5), drops_older=True)
    clock.advance(seconds=9)
    assert keys.retire(NEW, forced=True) == 0


def test_a_signing_key_retires_when_its_tokens_have_ended(keys: ServerKeys) -> None:
    keys.replace(Purpose.TOKEN_SIGNING)
    assert refusal(lambda: keys.retire("token-signing-1")).startswith("Tokens that token-signing-1 signed are believed")
    keys.play.clock.advance(days=1)
    keys.retire("token-signing-1")
    assert list(read_keyring(keys.path.read_bytes()).signing_keys) == ["token-signing-2"]


# ---------------------------------------------------------------- whatever is done in whatever order

STEPS = ("rotate", "wait", "wait", "generate", "use", "write_down", "retire", "retire", "restart")
MOST = 6


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), min_size=12, max_size=20))
def test_no_order_of_rotating_retiring_using_and_restarting_loses_a_credential(
    play: Play, steps: list[tuple[str, int]]
) -> None:
    lives = Lives.of(play)
    for step, which in steps:
        lives.take(step, which)
        assert [lives.observer.lets_in(shown) for shown in lives.shown] == [True] * len(lives.shown), step


class Lives:
    """A play in which the steps are taken, for all examples of a test: each goes on from there. Beside its server are
    a process that restarts, and one that looks on, and has nothing that it has seen hashed anew."""

    _last: "Lives | None" = None

    def __init__(self, play: Play) -> None:
        self.play, self.keys = play, ServerKeys(play)
        self.other, self.observer = self.keys.another_process(), self.keys.another_process()
        self.shown = [play.keys("first")]

    @classmethod
    def of(cls, play: Play) -> "Lives":
        if cls._last is None or cls._last.play is not play:
            cls._last = cls(play)
        return cls._last

    def take(self, step: str, which: int) -> None:
        getattr(self, step)(which)

    def rotate(self, which: int) -> None:
        self._try(lambda: self.keys.rotate(HASHING, drops_older=which == 7))

    def wait(self, which: int) -> None:
        # Everybody looks within the time by which a key is known before it is used.
        for _ in range(1 + which % 2):
            self.play.clock.advance(minutes=14)
            for process in (self.keys, self.other, self.observer):
                process.look()

    def generate(self, _which: int) -> None:
        if len(self.shown) < MOST:
            self.shown.append(self.play.keys(f"c{len(self.shown)}"))

    def use(self, which: int) -> None:
        for shown in self.shown[which:]:
            assert self.keys.check(shown) == 200
            assert self.other.lets_in(shown)

    def write_down(self, _which: int) -> None:
        self.keys.write_down()
        self.other.write_down()

    def retire(self, _which: int) -> None:
        oldest = read_keyring(self.keys.path.read_bytes()).versions(HASHING)[0]
        self._try(lambda: self.keys.retire(oldest.id))

    def restart(self, _which: int) -> None:
        self.other = self.keys.another_process()
        self.play.server.forget()

    @staticmethod
    def _try(do: Callable[[], object]) -> None:
        with suppress(RotationRefused):
            do()
