"""What is sealed is sealed again under the newest of the server's keys, without anybody asking for it."""

from cryptography.exceptions import InvalidTag

from auth.crypto.keyring import Purpose
from models.webhook import WebhookEndpoint
from resolvers.caller import Caller
from resolvers.webhooks import sealing_context

_MOST_AT_ONCE = 200


async def reseal(caller: Caller) -> None:
    """Some of the webhook secrets that are sealed under another key than the newest. What another process was first
    with, stays as that left it."""
    keyring = caller.deployment.keyring
    newest = keyring.symmetric_key(Purpose.SEALING, caller.now)
    ids = [key.id for key in keyring.versions(Purpose.SEALING)]
    # Not those of a key that waits: another process's clock may be ahead, and nothing is to be sealed back.
    older = ids[: ids.index(newest.id)]
    due = WebhookEndpoint.filter(sealing_key_id__in=older, removed_at__isnull=True)
    for endpoint in await due.limit(_MOST_AT_ONCE) if older else ():
        context = sealing_context(endpoint.id)
        try:
            secret = keyring.symmetric_keys[endpoint.sealing_key_id].open(endpoint.sealed_secret, context)
        except InvalidTag:
            continue  # It was altered; sending says so.
        mine = WebhookEndpoint.filter(id=endpoint.id, sealed_secret=endpoint.sealed_secret)
        await mine.update(sealed_secret=newest.seal(secret, context), sealing_key_id=newest.id)
