"""What a campaign is."""

from typing import Protocol


class CampaignFailed(Exception):
    """A promise did not hold; the message says which, and what to look at."""


class Campaign(Protocol):
    def __call__(self, *, small: bool) -> None:
        """Tries to break what it is named for, and prints its figures. Raises CampaignFailed."""


def first_of(error: BaseException) -> BaseException:
    """Of what tasks raised together, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
