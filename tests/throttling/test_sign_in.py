"""Signing in with a wrong password, again and again: from one place, from another, by one and by many."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from resolvers import throttling
from tests.plugins.play import StartPlay
from tests.support.rows import rows
from tests.support.server import Client
from tests.support.world import OPERATOR, PASSWORD, Play
from tests.throttling.tries import ELSEWHERE, HERE, IN, MEMBER, REFUSED, denied, documents, sign_in, sign_in_fields
from torture.injection import KINDS, Plan, injecting

pytestmark = pytest.mark.usefixtures("quick_passwords")

SIGN_IN = "mutation ($input: SignInInput!) { signIn(input: $input) { sessionToken } }"
COLLEAGUE = "auditor@alder.example"


def use_up(client: Client, email: str = MEMBER) -> None:
    """The eight tries that are free."""
    assert [sign_in(client, "wrong", email) for _ in range(8)] == [REFUSED] * 8


def guess_at_sixty(client: Client) -> None:
    """One popular password for as many people as a source may try."""
    fields = (next(sign_in_fields(["Summer2026!!"], f"person{number}@alder.example")) for number in range(60))
    (document,) = documents(fields)
    assert "errors" not in client.execute(document)


def test_whoever_mistypes_seven_times_signs_in_with_the_eighth_try(play: Play) -> None:
    assert [sign_in(play.nobody, "mistyped") for _ in range(7)] == [REFUSED] * 7
    assert sign_in(play.nobody) == IN


def test_each_try_after_the_eighth_waits_twice_as_long_even_with_the_right_password(play: Play) -> None:
    use_up(play.nobody)
    for seconds in (1, 2, 4, 8):
        play.clock.advance(seconds=seconds, milliseconds=-1)
        assert sign_in(play.nobody) == 1
        play.clock.advance(milliseconds=1)
        assert sign_in(play.nobody, "wrong") == REFUSED
    assert sign_in(play.nobody) == 16
    play.clock.advance(seconds=16)
    assert sign_in(play.nobody) == IN


def test_a_throttled_try_is_answered_with_the_seconds_to_wait(play: Play) -> None:
    use_up(play.nobody)
    response = play.nobody.post(SIGN_IN, {"input": {"email": MEMBER, "password": PASSWORD}})
    assert (response.status_code, response.headers["Retry-After"]) == (200, "1")
    answer = response.json()
    (error,) = answer["errors"]
    assert answer["data"] is None
    assert error["extensions"] == {"code": "RATE_LIMITED", "retryAfterSeconds": 1}
    assert error["path"] == ["signIn"]
    assert error["message"] == "Too many failed tries. Try again in 1 second."


def test_an_answer_without_a_throttled_try_has_no_retry_after(play: Play) -> None:
    assert "Retry-After" not in play.nobody.post("{ viewer { role } }").headers


def test_after_signing_in_all_eight_tries_are_free_again(play: Play) -> None:
    use_up(play.nobody)
    play.clock.advance(seconds=1)
    assert sign_in(play.nobody) == IN
    use_up(play.nobody)


def test_old_mistakes_are_forgotten(play: Play) -> None:
    use_up(play.nobody)
    play.clock.advance(hours=2)
    use_up(play.nobody)


def test_five_quick_retries_at_once_shut_nobody_out(play: Play) -> None:
    assert set(at_once(5, lambda: sign_in(play.nobody, "an old password"))) == {REFUSED}
    assert sign_in(play.nobody) == IN
    assert set(at_once(5, lambda: sign_in(play.nobody))) == {IN}


def test_tries_at_once_get_no_further_than_one_after_the_other(play: Play) -> None:
    outcomes = at_once(30, lambda: sign_in(play.nobody, "wrong"))
    assert (outcomes.count(REFUSED), outcomes.count(1)) == (8, 22)


@pytest.mark.parametrize("email", [MEMBER, "nobody@alder.example", "no address", "\0@alder.example", "a" * 300])
def test_addresses_are_throttled_whether_there_is_somebody_or_not(play: Play, email: str) -> None:
    use_up(play.nobody, email)
    assert sign_in(play.nobody, "wrong", email) == 1


def test_another_spelling_of_an_address_is_the_same_address(play: Play) -> None:
    use_up(play.nobody)
    assert sign_in(play.nobody, PASSWORD, f" {MEMBER.upper()} ") == 1


def test_from_elsewhere_the_true_user_signs_in_all_the_while(proxied: Play) -> None:
    use_up(proxied.nobody.sending(X_Forwarded_For=ELSEWHERE))
    assert sign_in(proxied.nobody.sending(X_Forwarded_For=ELSEWHERE)) == 1
    assert sign_in(proxied.nobody.sending(X_Forwarded_For=HERE)) == IN
    assert sign_in(proxied.nobody.sending(X_Forwarded_For=ELSEWHERE)) == 1


def test_colleagues_at_the_same_source_sign_in_meanwhile(play: Play) -> None:
    use_up(play.nobody)
    assert sign_in(play.nobody, PASSWORD, COLLEAGUE) == IN


def test_a_source_that_guesses_at_many_addresses_waits_whatever_it_tries_next(proxied: Play) -> None:
    guessing = proxied.nobody.sending(X_Forwarded_For=ELSEWHERE)
    guess_at_sixty(guessing)
    assert sign_in(guessing, PASSWORD, COLLEAGUE) == 1
    assert sign_in(proxied.nobody.sending(X_Forwarded_For=HERE), PASSWORD, COLLEAGUE) == IN
    proxied.clock.advance(seconds=1)
    assert sign_in(guessing, "Summer2026!!", "person60@alder.example") == REFUSED
    assert sign_in(guessing, PASSWORD, COLLEAGUE) == 2


def test_signing_in_as_oneself_in_between_does_not_open_the_way_for_guesses(play: Play) -> None:
    guess_at_sixty(play.nobody)
    guessed = 0
    for number in range(20):
        play.clock.advance(seconds=1)
        sign_in(play.nobody, PASSWORD, COLLEAGUE)
        guessed += sign_in(play.nobody, "Summer2026!!", f"one_more{number}@alder.example") == REFUSED
    # 1, 2, 4 and 8 seconds have gone by in twenty, and not 16 more.
    assert guessed == 4


def test_tries_that_were_not_made_are_not_held_against_the_source(play: Play) -> None:
    use_up(play.nobody)
    for _ in range(60):
        assert sign_in(play.nobody, "the password of last year") == 1
    assert sign_in(play.nobody, PASSWORD, COLLEAGUE) == IN


def test_nor_are_those_that_lost_a_race(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_known_yet(_keys: object, _now: int) -> int:
        return 0

    monkeypatch.setattr(throttling, "wait_for", nothing_known_yet)
    use_up(play.nobody)
    for _ in range(60):
        assert sign_in(play.nobody, "the password of last year") == 1
    assert sign_in(play.nobody, PASSWORD, COLLEAGUE) == IN


def test_guessing_one_s_own_current_password_is_throttled_as_signing_in_is(play: Play) -> None:
    fields = {"currentPassword": "a guess", "newPassword": "a long enough one"}
    for _ in range(8):
        refusals = play.member.refusals("changePassword", "", **fields)
        assert refusals == [("INVALID_CREDENTIALS", ["currentPassword"])]
    document = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }"
    assert play.member.error_code(document, input={**fields, "currentPassword": PASSWORD}) == "RATE_LIMITED"
    assert sign_in(play.nobody) == 1


@pytest.mark.parametrize("email", [MEMBER, OPERATOR])
def test_a_gateway_s_token_does_not_help_to_guess_passwords(play: Play, email: str) -> None:
    expires_at = "2026-06-01T00:00:00Z"
    made = play.administrator.do("createGatewayToken", "token", name="edge", expiresAt=expires_at)
    gateway = play.server.client(made["token"])
    use_up(gateway, email)
    assert sign_in(gateway, PASSWORD, email) == 1


def test_tries_that_were_made_are_in_the_audit_log_and_no_others(proxied: Play) -> None:
    for _ in range(20):
        sign_in(proxied.nobody.sending(X_Forwarded_For=ELSEWHERE), "wrong")
    assert denied(proxied) == 8


def test_what_is_kept_of_a_try_tells_neither_address_nor_source_to_who_has_the_database_alone(play: Play) -> None:
    mistyped = "my password, in the wrong place"
    sign_in(play.nobody, "wrong", mistyped)
    found = [key for (key,) in rows(play.server.database_url, "SELECT key FROM throttles")]
    assert len(found) >= 2
    plain = ["\0".join(parts) for parts in (["sign-in", "127.0.0.1"], ["sign-in", "127.0.0.1", mistyped], [mistyped])]
    assert not set(found) & {*plain, *(hashlib.sha256(text.encode()).hexdigest() for text in plain)}


def at_once(number: int, try_: Callable[[], str | int]) -> list[str | int]:
    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(lambda _: try_(), range(number)))


def test_a_try_that_could_not_be_decided_is_none(start_play: StartPlay) -> None:
    """Whichever statement fails, nine times in a row, which is more than are free: the next try is let in."""
    with injecting() as injection:
        play = start_play()
        fail = next(iter(KINDS[play.rows.engine].values()))
        for at in count(1):
            plans = [Plan(at, fail) for _ in range(9)]
            for plan in plans:
                with injection.planned(plan):
                    play.nobody.post(SIGN_IN, {"input": {"email": MEMBER, "password": PASSWORD}})
            failed = plans[0].hit
            if not failed:
                break
            if not failed.startswith("DELETE"):  # of the tries, of who was let in
                assert sign_in(play.nobody) == IN, failed
            play.clock.advance(hours=10)
        assert at > 10
