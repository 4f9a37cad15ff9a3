"""How much may be asked for in a while: the costs of operations, summed up for whoever asks.

Each process keeps its own sums, in memory: with several, a client may spend as much at each of them.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from models.user import Role
from resolvers.caller import Caller
from resolvers.throttling import source_of
from resolvers.wording import counted

# Beyond, whoever asked longest ago is forgotten, and has the whole budget again.
_REMEMBERED = 10_000

Spender: TypeAlias = UUID | str


@dataclass(frozen=True)
class Allowance:
    """What one spender may spend in each window of so many seconds; 0: without end."""

    amount: int = 1_000_000
    seconds: int = 60


class BudgetSpent(Exception):
    """Too much was asked for; `seconds` says when to come back."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(
            f"You have asked for as much as there is for you now. Try again in {counted(seconds, 'second')}."
        )


class Budget:
    """What was spent in this window, by whom."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._window = 0
        self._spent: OrderedDict[Spender, int] = OrderedDict()

    def spend(self, caller: Caller, cost: int) -> int | None:
        """Takes the cost, and answers what remains; None for whoever has no budget to keep to. Raises BudgetSpent, and
        then takes nothing."""
        amount, seconds = self._allowance.amount, self._allowance.seconds
        if not amount or _is_gateway(caller):
            return None
        now = int(caller.now.timestamp())
        if now // seconds != self._window:
            self._window = now // seconds
            self._spent.clear()
        spender = _spender(caller)
        spent = self._spent.get(spender, 0) + cost
        if spent > amount:
            raise BudgetSpent(seconds - now % seconds)
        self._remember(spender, spent)
        return amount - spent

    def _remember(self, spender: Spender, spent: int) -> None:
        self._spent[spender] = spent
        self._spent.move_to_end(spender)
        if len(self._spent) > _REMEMBERED:
            self._spent.popitem(last=False)


def _is_gateway(caller: Caller) -> bool:
    """Which passes on what others ask for, as fast as they do."""
    return caller.principal is not None and caller.principal.role is Role.GATEWAY


def _spender(caller: Caller) -> Spender:
    """A user, with all sessions and tokens; or where somebody asks from who is nobody here."""
    if caller.principal is not None and caller.principal.user_id is not None:
        return caller.principal.user_id
    return source_of(caller.source_ip)
