"""When a new credential ends."""

from dataclasses import dataclass
from datetime import UTC, datetime

from dateutil.relativedelta import relativedelta

from models.account import Account
from models.instants import NEVER, to_millisecond
from resolvers.errors import ErrorCode, refuse

MAXIMUM_MONTHS = 1200


@dataclass(frozen=True)
class Expiry:
    """What was asked for: months, an instant, or never; exactly one is set."""

    months: int | None = None
    at: datetime | None = None
    never: bool | None = None


def expires_at(expiry: Expiry | None, account: Account, now: datetime) -> datetime:
    """The instant a credential made now ends, by what was asked for or, where nothing was, by the account's policy.
    Raises Refused (INVALID, NOT_ALLOWED_BY_POLICY)."""
    if expiry is None:
        months = account.default_expiry_months
        return NEVER if months is None else add_months(now, months)
    if expiry.months is not None:
        end = add_months(now, _checked_months(expiry.months))
        return _within_bound(end, account, now, "months")
    if expiry.at is not None:
        return _within_bound(_instant(expiry.at, now), account, now, "at")
    return _never(expiry, account)


def _checked_months(months: int) -> int:
    if not 1 <= months <= MAXIMUM_MONTHS:
        raise refuse(ErrorCode.INVALID, f"Between 1 and {MAXIMUM_MONTHS} months, please.", "expiry", "months")
    return months


def _within_bound(end: datetime, account: Account, now: datetime, field: str) -> datetime:
    bound = account.maximum_expiry_months
    if bound is not None and end > add_months(now, bound):
        message = f"The account's policy allows {bound} months at most."
        raise refuse(ErrorCode.NOT_ALLOWED_BY_POLICY, message, "expiry", field)
    return end


def add_months(instant: datetime, months: int) -> datetime:
    """The same day and time some calendar months later in UTC, or the last day of a month that is too short; whole
    seconds."""
    return (instant.astimezone(UTC) + relativedelta(months=months)).replace(microsecond=0)


def _instant(at: datetime, now: datetime) -> datetime:
    instant = to_millisecond(at)
    if instant <= now:
        raise refuse(ErrorCode.INVALID, "This instant is past.", "expiry", "at")
    # No later than months reach, or thousands of years would do for the never that a policy does not allow.
    if instant > add_months(now, MAXIMUM_MONTHS):
        message = f"An instant within the next {MAXIMUM_MONTHS} months, please."
        raise refuse(ErrorCode.INVALID, message, "expiry", "at")
    return instant


def _never(expiry: Expiry, account: Account) -> datetime:
    if not expiry.never:
        raise refuse(ErrorCode.INVALID, "Say true, or leave never out.", "expiry", "never")
    if not account.never_expires_allowed:
        raise refuse(
            ErrorCode.NOT_ALLOWED_BY_POLICY,
            "The account's policy wants every credential to expire: give months or an instant.",
            "expiry",
            "never",
        )
    return NEVER
