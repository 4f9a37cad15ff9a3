"""Whatever happens at the same moment, somebody is left who can manage the others."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tests.access.stage import Newcomer, Stage
from tests.support.world import AccountWorld

ROUNDS = 6
ENDING = [("setUserRole", {"role": "AUDITOR"}), ("deactivateUser", {})]
# The later one waits for the earlier and is the last by then; or comes when it is signed out, or no administrator.
TOO_LATE = {"CONFLICT", "UNAUTHENTICATED", "FORBIDDEN"}


@pytest.mark.parametrize(("mutation", "given"), ENDING)
def test_of_two_administrators_who_end_each_other_at_the_same_moment_one_stays(
    stage: Stage, mutation: str, given: dict[str, Any]
) -> None:
    for _ in range(ROUNDS):
        account = _new_account(stage)
        both = [stage.newcomer(account, "ADMINISTRATOR") for _ in range(2)]

        outcomes = at_once([_ending(each, other, mutation, given) for each, other in (both, reversed(both))])

        assert sorted(outcomes)[0] in TOO_LATE
        assert sorted(outcomes)[1] == "done"
        assert len(_active_administrators(stage, account)) == 1


def test_of_three_administrators_who_end_the_next_one_at_the_same_moment_one_stays(stage: Stage) -> None:
    account = _new_account(stage)
    all_three = [stage.newcomer(account, "ADMINISTRATOR") for _ in range(3)]

    outcomes = at_once(
        [_ending(each, all_three[number - 2], "deactivateUser", {}) for number, each in enumerate(all_three)]
    )

    assert outcomes.count("done") <= 2
    assert len(_active_administrators(stage, account)) == 3 - outcomes.count("done")


def at_once(acts: list[Callable[[], str]]) -> list[str]:
    """What came of each, all begun at the same moment."""
    barrier = Barrier(len(acts))

    def act(do: Callable[[], str]) -> str:
        barrier.wait(30)
        return do()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def _ending(actor: Newcomer, of: Newcomer, mutation: str, given: dict[str, Any]) -> Callable[[], str]:
    def act() -> str:
        input_type = "SetUserRoleInput" if given else "UserInput"
        answer = actor.client.execute(
            f"mutation ($input: {input_type}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}",
            input={"userId": of.id, **given},
        )
        if "errors" in answer:
            return str(answer["errors"][0]["extensions"]["code"])
        (refusal,) = answer["data"][mutation]["userErrors"] or [{"code": "done"}]
        return str(refusal["code"])

    return act


def _new_account(stage: Stage) -> AccountWorld:
    name = stage.unique("account")
    return AccountWorld(stage.operator.do("createAccount", "account { id }", name=name)["account"]["id"])


def _active_administrators(stage: Stage, account: AccountWorld) -> list[str]:
    users = stage.operator.data(
        "query ($filter: UserFilter) { users(filter: $filter) { nodes { id status } } }",
        filter={"accountId": account.id, "roles": ["ADMINISTRATOR"]},
    )["nodes"]
    return [user["id"] for user in users if user["status"] == "ACTIVE"]
