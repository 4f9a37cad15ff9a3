"""What fails while the server starts or stops is told without its text, of which nobody knows what is in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.lifespan.on import LifespanOn

from server.logs import configure_logs
from tests.support.logs import recorded_logs


def test_a_fault_at_the_end_is_told_without_its_text() -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        raise ValueError("Key (email)=(ada@alder.example) is there")

    async def run() -> None:
        config = uvicorn.Config(Starlette(lifespan=lifespan), log_config=None)
        config.load()
        life = LifespanOn(config)
        await life.startup()
        await life.shutdown()

    with recorded_logs() as log:
        configure_logs()
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
        asyncio.run(run())
    told = log.getvalue()
    assert "fault" in told
    assert "ada@alder.example" not in told
