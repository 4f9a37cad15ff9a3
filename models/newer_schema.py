"""A database that a later version has upgraded already."""

from collections.abc import Sequence

from models.database import fetch_rows, known_migrations


async def unknown_migrations() -> Sequence[str]:
    """The migrations in the connected database that this version does not know, in their order."""
    known = known_migrations()
    rows = await fetch_rows("SELECT name FROM tortoise_migrations WHERE app = 'models' ORDER BY name")
    return [name for (name,) in rows if name not in known]
