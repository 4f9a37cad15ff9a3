"""An application that starts unless there is a file; as small as one can be, for whoever starts processes."""

import os
from pathlib import Path
from typing import Any

BROKEN_BY = "FRAIL_BROKEN_BY"
"""Names the file, which the first that fails removes."""


async def app(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": f"lifespan.startup.{'failed' if _is_broken() else 'complete'}"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _is_broken() -> bool:
    file = Path(os.environ[BROKEN_BY])
    is_broken = file.exists()
    file.unlink(missing_ok=True)
    return is_broken
