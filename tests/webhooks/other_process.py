"""Another process of the deployment, as a program: says that it is ready, waits for a line, then does what is to be
done beside requests, once, at a fixed instant.

    python -m tests.webhooks.other_process DATABASE_URL DATA_DIR INSTANT
"""

import asyncio
import sys
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

from pydantic import SecretStr

from server.app import deployed
from server.housekeeping import Housekeeping
from server.settings import Settings


async def main(database_url: str, data_dir: str, instant: str) -> None:
    networks = (ip_network("127.0.0.0/8"),)
    settings = Settings(
        data_dir=Path(data_dir), database_url=SecretStr(database_url), webhook_allowed_networks=networks
    )
    now = datetime.fromisoformat(instant)
    async with deployed(settings, lambda: now) as deployment:
        house = Housekeeping(deployment)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        await house.tell_of_ends()
        await house.clean_up()
        while await house.sender.start_due():
            await house.sender.finish()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
