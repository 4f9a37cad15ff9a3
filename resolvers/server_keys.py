"""The server's keys and the database belong together: noticed at start, not at the first login."""

from datetime import datetime

from auth.crypto.keyring import Keyring, KeyringUnreadable
from models.database import transaction
from models.server_key import ServerKey


async def confirm_keys(keyring: Keyring, now: datetime) -> None:
    """Remembers new keys, and compares the others with what is remembered. Raises KeyringUnreadable."""
    given = keyring.check_values()
    async with transaction() as connection:
        # Two processes that start at once agree on who writes the rows.
        if connection.capabilities.dialect == "postgres":
            await connection.execute_query("LOCK TABLE server_keys IN SHARE ROW EXCLUSIVE MODE")
        known = {key.id: key.check_value for key in await ServerKey.all()}
        for key_id, check_value in known.items():
            if given.get(key_id) != check_value:
                raise KeyringUnreadable(
                    f"the database was set up with another {key_id} key: give the server the keys it had"
                )
        for key_id in given.keys() - known.keys():
            await ServerKey.create(id=key_id, check_value=given[key_id], created_at=now)
