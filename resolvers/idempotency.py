"""A retry with the same key gets the same answer, secret included, for ten minutes.

The first statement of the transaction claims the key. Of two equal requests at the same moment the second waits there
until the first is done; then it finds the answer, or, where the first was refused, is tried itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from auth.crypto.idempotency import IdempotencyKey
from auth.crypto.secret import Secret
from models.idempotent_answer import IdempotentAnswer
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refused, refuse
from resolvers.unique import taken_if_violated

KEPT = timedelta(minutes=10)
# 128 random bits take 22 characters of base64; whether they are random only the client knows.
SHORTEST, LONGEST = 22, 255

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Retry:
    """A request that may be a retry: its key, and all that was asked for, to tell an equal request by."""

    key: IdempotencyKey
    request: bytes


def retry_of(caller: Caller, key: Secret | None, operation: str, request: bytes) -> Retry | None:
    """None where the client gave no key. Raises Refused (INVALID)."""
    if key is None:
        return None
    if not SHORTEST <= len(key.reveal()) <= LONGEST:
        message = f"An idempotency key has {SHORTEST} to {LONGEST} characters, of at least 128 random bits."
        raise refuse(ErrorCode.INVALID, message, "idempotency_key")
    user_id = caller.principal.user_id if caller.principal else None
    return Retry(IdempotencyKey(key, f"{user_id} {operation}"), request)


async def idempotently(
    caller: Caller,
    retry: Retry | None,
    make: Callable[[], Awaitable[Answer]],
    again: Callable[[Caller, bytes], Awaitable[Answer]],
) -> Answer:
    """What `make` answers, or, to a retry, what `again` makes of the answer kept. `make` calls `claim` and `keep` in
    its transaction. Raises Refused (CONFLICT: the same key with other input)."""
    if retry is None:
        return await make()
    if kept := await _kept(caller, retry):
        return await again(caller, kept)
    try:
        with taken_if_violated("idempotent_answers_pkey", "idempotency_key", "claimed"):
            return await make()
    except Refused as refused:
        # Either an equal request was a moment faster, or this one was refused for a reason of its own.
        kept = await _kept(caller, retry)
        if kept is None:
            raise refused from None
        return await again(caller, kept)


async def claim(caller: Caller, retry: Retry | None) -> None:
    """First in the transaction: from now on an equal request waits."""
    if retry is None:
        return
    await IdempotentAnswer.filter(key_hash=retry.key.key_hash, expires_at__lte=caller.now).delete()
    await IdempotentAnswer.create(
        key_hash=retry.key.key_hash,
        request_hash=retry.key.request_hash(retry.request),
        answer="",
        expires_at=caller.now + KEPT,
    )


async def keep(retry: Retry | None, answer: bytes) -> None:
    """Last but one in the transaction: the answer, for whoever has the key."""
    if retry is not None:
        await IdempotentAnswer.filter(key_hash=retry.key.key_hash).update(answer=retry.key.seal(answer))


async def forget_answers(now: datetime) -> None:
    """Removes answers that are no longer given."""
    await IdempotentAnswer.filter(expires_at__lte=now).delete()


async def _kept(caller: Caller, retry: Retry) -> bytes | None:
    found = await IdempotentAnswer.get_or_none(key_hash=retry.key.key_hash, expires_at__gt=caller.now)
    if found is None:
        return None
    if found.request_hash != retry.key.request_hash(retry.request):
        message = "This idempotency key was used for another request within the last ten minutes."
        raise refuse(ErrorCode.CONFLICT, message, "idempotency_key")
    return retry.key.open(found.answer)
