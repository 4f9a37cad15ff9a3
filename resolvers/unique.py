"""Two at once want the same name: the database decides, and the loser is told TAKEN."""

from collections.abc import Iterator
from contextlib import contextmanager

from tortoise.exceptions import IntegrityError

from models.failures import violated_index
from resolvers.errors import ErrorCode, refuse


@contextmanager
def taken_if_violated(index: str, field: str, message: str) -> Iterator[None]:
    """Turns the violation of a unique index, by the transaction inside, into Refused (TAKEN)."""
    try:
        yield
    except IntegrityError as error:
        if violated_index(error) != index:
            raise
        raise refuse(ErrorCode.TAKEN, message, field) from None
