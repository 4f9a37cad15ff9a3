"""What a campaign is."""

from collections.abc import Callable


class CampaignFailed(Exception):
    """A promise did not hold; the message says which, and what to look at."""


Campaign = Callable[..., None]
"""Tries to break what it is named for, and prints its figures. Takes `small`, and sizes of its own as options. Raises
CampaignFailed."""


def first_of(error: BaseException) -> BaseException:
    """Of what tasks raised together, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
