"""A database that a later version has upgraded already."""

from collections.abc import Sequence
from pkgutil import iter_modules

from models.database import fetch_rows
from models.migrations import __path__ as _migrations


async def unknown_migrations() -> Sequence[str]:
    """The migrations in the connected database that this version does not know, in their order."""
    known = {module.name for module in iter_modules(_migrations)}
    rows = await fetch_rows("SELECT name FROM tortoise_migrations WHERE app = 'models' ORDER BY name")
    return [name for (name,) in rows if name not in known]
