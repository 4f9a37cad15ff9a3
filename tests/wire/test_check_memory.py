"""What is remembered of credentials is bounded, and believed only as long as nothing can have changed."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import uuid4

import pytest

from auth.bearer import Known
from auth.principal import Principal
from models.account import AccountStatus
from models.check_epoch import CheckChange, Epoch
from models.check_facts import AccountFacts, CredentialFacts, IdentityFacts, OwnerFacts, ServiceFacts
from models.identity import IdentityStatus
from models.instants import LONG_AGO, NEVER
from models.user import Role, UserStatus
from resolvers import audit, check_memory
from resolvers.audit import EventType
from resolvers.check_memory import BELIEVED_SECONDS, CheckMemory, Gateway, hash_shown


class Epochs:
    """The database's epoch, and what was changed at each of its steps; and a clock."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds, self.changes, self.is_away, self.server = 0.0, list[CheckChange](), False, "one"
        patch.setattr(check_memory, "current_epoch", self.current)
        patch.setattr(check_memory, "changes_since", self.since)
        self.memory = CheckMemory(lambda: self.seconds)
        asyncio.run(self.memory.refresh())

    async def current(self, _using: object = None) -> Epoch:
        if self.is_away:
            raise OSError("the database is away")
        return Epoch(len(self.changes), self.server)

    async def since(self, epoch: int, limit: int, _using: object = None) -> list[CheckChange]:
        return self.changes[epoch:][:limit]

    def change(self, id_: bytes) -> None:
        self.changes.append(CheckChange(epoch=len(self.changes) + 1, subject_id=id_.decode()))

    def remember(self, facts: CredentialFacts) -> bytes:
        self.memory.remember(shown := hash_shown(facts.id), facts, self.memory.epoch)
        return shown


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> Epochs:
    return Epochs(monkeypatch)


def facts(like: CredentialFacts | None = None) -> CredentialFacts:
    """Of a new credential; of the same parties as another's, read anew."""

    def id_(kind: str, same: bytes | None = None) -> bytes:
        return same or f"{kind}_{uuid4().hex}".encode()

    now = datetime(2026, 1, 15, tzinfo=UTC)
    return CredentialFacts(
        id=id_("cred"),
        name="ci",
        expires_at=NEVER,
        revoked_at=None,
        networks=(),
        hashing_key_id="credential-hashing-1",
        account=AccountFacts(id_("acct", like.account.id if like else None), True, AccountStatus.ACTIVE),
        owner=OwnerFacts(id_("user", like.owner.id if like else None), True, Role.MEMBER, UserStatus.ACTIVE, True),
        identity=IdentityFacts(id_("idty", like.identity.id if like else None), True, IdentityStatus.ACTIVE, NEVER),
        service=ServiceFacts(id_("svc", like.service.id if like else None), True, "tls", LONG_AGO, now, None, None),
    )


def test_it_is_believed_for_less_than_a_second_after_the_epoch_was_asked(epochs: Epochs) -> None:
    shown = epochs.remember(facts())
    epochs.seconds += BELIEVED_SECONDS - 0.001
    assert epochs.memory.find(shown)
    epochs.seconds += 0.001
    assert BELIEVED_SECONDS < 1
    assert epochs.memory.find(shown) is None
    asyncio.run(epochs.memory.refresh())
    assert epochs.memory.find(shown)


def test_it_is_not_believed_from_the_moment_that_a_change_of_its_own_can_not_be_settled(epochs: Epochs) -> None:
    shown = epochs.remember(facts())
    epochs.is_away = True
    asyncio.run(epochs.memory.settle())
    assert epochs.memory.find(shown) is None


def test_nor_for_what_was_asked_before_that(epochs: Epochs, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = epochs.remember(facts())

    async def asked_before(_using: object = None) -> Epoch:
        answer = Epoch(0, "one")
        epochs.seconds, epochs.is_away = 0.1, True
        monkeypatch.setattr(check_memory, "current_epoch", epochs.current)
        await epochs.memory.settle()
        return answer

    monkeypatch.setattr(check_memory, "current_epoch", asked_before)
    asyncio.run(epochs.memory.refresh())
    assert epochs.memory.find(shown) is None


@pytest.mark.parametrize("changes_there", [1, 2, 3])
def test_nothing_that_was_read_on_one_server_is_believed_on_another(epochs: Epochs, changes_there: int) -> None:
    """A standby that took over before it had all changes counts on from where it was: what it then changes may have the
    number of a change that it never had."""
    first = facts()
    for _ in range(2):
        epochs.change(b"svc_of_somebody_else")
    asyncio.run(epochs.memory.refresh())
    shown = epochs.remember(first)
    epochs.server, epochs.changes = "two", []
    for _ in range(changes_there):
        epochs.change(first.id)
    asyncio.run(epochs.memory.refresh())
    assert epochs.memory.find(shown) is None


def test_changes_are_counted_on_from_where_a_restored_database_is(epochs: Epochs) -> None:
    for _ in range(2):
        epochs.change(b"svc_of_somebody_else")
    asyncio.run(epochs.memory.refresh())
    shown = epochs.remember(first := facts())
    epochs.changes.pop()
    asyncio.run(epochs.memory.refresh())
    assert epochs.memory.find(shown) is None
    shown = epochs.remember(first)
    epochs.change(first.id)
    asyncio.run(epochs.memory.refresh())
    assert epochs.memory.find(shown) is None


@pytest.mark.parametrize("party", ["account", "owner", "identity", "service"])
def test_a_change_of_whom_it_depends_on_drops_all_who_depend_on_the_same_and_nobody_else(
    epochs: Epochs, party: str
) -> None:
    first = facts()
    second, other = facts(like=first), facts()
    shown = [epochs.remember(each) for each in (first, second, other)]
    epochs.change(getattr(first, party).id)
    asyncio.run(epochs.memory.refresh())
    assert [epochs.memory.find(each) for each in shown] == [None, None, other]


NOW = datetime(2026, 1, 15, tzinfo=UTC)
MEMBER = Known(Principal(Role.MEMBER, None, None), NOW, NOW + timedelta(minutes=1))


def test_who_asks_is_known_from_when_it_was_looked_up_until_it_must_be_again(epochs: Epochs) -> None:
    epochs.memory.remember_person("token", MEMBER, epochs.memory.epoch)
    found = [epochs.memory.find_person("token", NOW + timedelta(seconds=at)) for at in (-1, 0, 59, 60)]
    assert found == [None, MEMBER.principal, MEMBER.principal, None]
    assert epochs.memory.find_person("another", NOW) is None
    epochs.seconds += BELIEVED_SECONDS
    assert epochs.memory.find_person("token", NOW) is None


@pytest.mark.parametrize("about", [b"people", b"user_1", b"acct_1", b"tok_1"])
def test_who_asks_is_looked_up_again_after_any_change_of_people(epochs: Epochs, about: bytes) -> None:
    read_at = epochs.memory.epoch
    epochs.memory.remember_person("token", MEMBER, read_at)
    epochs.change(about)
    asyncio.run(epochs.memory.refresh())
    # Neither what was remembered before the change, nor what was read before it and is remembered only now.
    assert epochs.memory.find_person("token", NOW) is None
    epochs.memory.remember_person("token", MEMBER, read_at)
    assert epochs.memory.find_person("token", NOW) is None


def test_so_many_people_are_remembered_and_no_more(epochs: Epochs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_memory, "_MOST_PEOPLE", 2)
    for token in ("first", "second", "third"):
        epochs.memory.remember_person(token, MEMBER, epochs.memory.epoch)
    assert [epochs.memory.find_person(each, NOW) is None for each in ("first", "second", "third")] == [
        True,
        False,
        False,
    ]


def test_so_many_gateways_are_remembered_and_no_more(epochs: Epochs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_memory, "_MOST_GATEWAYS", 2)
    gateway = cast(Gateway, object())
    for token in ("first", "second", "third"):
        epochs.memory.remember_gateway(token, gateway, epochs.memory.epoch)
    found = [epochs.memory.find_gateway(each) for each in ("first", "second", "third")]
    assert found == [None, gateway, gateway]


def test_each_kind_of_event_about_people_is_told_to_all_processes_unless_it_changes_nothing_for_them() -> None:
    about_people = {
        each
        for each in EventType
        if each.partition(".")[0] in {"account", "user", "policy", "password", "session", "invitation", "token"}
    }
    changes_nothing = {
        EventType.ACCOUNT_CREATED,
        EventType.USER_CREATED,
        EventType.INVITATION_RENEWED,
        EventType.INVITATION_ACCEPTED,
        EventType.SESSION_STARTED,
        EventType.TOKEN_CREATED,
    }
    assert about_people - audit.CHANGES_CHECKS - audit.CHANGES_PEOPLE == changes_nothing


def test_a_change_of_a_credential_drops_it_alone(epochs: Epochs) -> None:
    first = facts()
    shown = [epochs.remember(each) for each in (first, facts(like=first))]
    epochs.change(first.id)
    asyncio.run(epochs.memory.refresh())
    assert [epochs.memory.find(each) is None for each in shown] == [True, False]


def test_what_was_read_before_a_change_is_not_remembered_after_it(epochs: Epochs) -> None:
    read, epoch = facts(), epochs.memory.epoch
    epochs.change(b"svc_of_somebody_else")
    asyncio.run(epochs.memory.refresh())
    epochs.memory.remember(shown := hash_shown(read.id), read, epoch)
    assert epochs.memory.find(shown) is None


def test_a_process_that_is_too_far_behind_forgets_everything(epochs: Epochs) -> None:
    shown = epochs.remember(facts())
    for _ in range(check_memory._CHANGES_AT_ONCE):
        epochs.change(b"svc_of_somebody_else")
    asyncio.run(epochs.memory.refresh())
    assert epochs.memory.find(shown) is None


def test_facts_of_a_party_that_are_newer_than_those_remembered_outdate_them(epochs: Epochs) -> None:
    first = facts()
    newer = facts(like=first)
    newer.service.suspended_at = LONG_AGO
    shown = [epochs.remember(each) for each in (first, newer)]
    assert [epochs.memory.find(each) for each in shown] == [None, newer]


def test_it_is_bounded_and_what_was_not_asked_about_for_the_longest_time_goes_first(
    epochs: Epochs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_memory, "MOST_CREDENTIALS", 3)
    shown = [epochs.remember(facts()) for _ in range(3)]
    assert epochs.memory.find(shown[0])
    shown += [epochs.remember(facts()) for _ in range(2)]
    assert [epochs.memory.find(each) is not None for each in shown] == [True, False, False, True, True]


def test_of_many_credentials_those_that_changed_are_gone_and_read_anew_are_back(epochs: Epochs) -> None:
    """Also once so many have changed that they are no longer noted one by one."""
    everybody = [facts() for _ in range(30)]
    shown = [epochs.remember(each) for each in everybody]
    changed, others = everybody[::3], [facts() for _ in range(1_100)]
    for each in [*changed, *others]:
        epochs.change(each.id)
        if len(epochs.changes) % 500 == 0:
            asyncio.run(epochs.memory.refresh())
    asyncio.run(epochs.memory.refresh())
    found = [epochs.memory.find(each) for each in shown]
    assert found == [None if each in changed else each for each in everybody]
    epochs.change(everybody[1].id)
    asyncio.run(epochs.memory.refresh())
    assert epochs.memory.find(shown[1]) is None
    epochs.remember(everybody[1])
    assert epochs.memory.find(shown[1]) is everybody[1]
