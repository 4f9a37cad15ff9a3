"""What is asked of a server whose database goes away, and whether all is well again."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic, sleep
from typing import Any

import httpx

from tests.access.stage import Stage
from torture.campaign import CampaignFailed
from torture.faults import _in_use, is_success

PATIENCE = 30
# More than the pool has connections, with four requests each.
AT_ONCE = 6
Send = Callable[[], httpx.Response]


def requests(stage: Stage) -> Mapping[str, Send]:
    """Something that changes, something that reads, and somebody who logs in and one who is checked."""
    url, operator = stage.play.server.url, stage.operator
    key, secret = stage.mine.keys["apiKey"], stage.mine.keys["apiSecret"]
    create = "mutation ($name: String!) { createAccount(input: {name: $name}) { account { id } userErrors { code } } }"
    gateway = {"X-Sealkey-Gateway-Token": stage.mine.gateway_token}

    def graphql(query: str, **variables: Any) -> httpx.Response:
        body = {"query": query, "variables": variables}
        return httpx.post(f"{url}/graphql", json=body, headers=operator.headers, timeout=60)

    return {
        "a change": lambda: graphql(create, name=stage.unique("outage")),
        "a list": partial(graphql, "{ credentials { nodes { id } } }"),
        "a login": lambda: httpx.post(f"{url}/v2/login", json={"api_key": key, "api_secret": secret}, timeout=60),
        "a check": lambda: httpx.get(f"{url}/verify", auth=(key, secret), headers=gateway, timeout=60),
    }


def require(name: str, answer: httpx.Response) -> None:
    if not is_success(answer):
        raise CampaignFailed(f"{name}: {answer.request.url} {answer.status_code} {answer.text}")


def back_within(stage: Stage, asked: Mapping[str, Send]) -> float:
    """Seconds until everything succeeds, as often as there are connections, and each of these is back."""
    began = monotonic()
    for name, send in asked.items():
        while not is_success(answer := send()):
            if monotonic() - began > PATIENCE:
                raise CampaignFailed(f"{name} does not come back: {answer.status_code} {answer.text}")
            sleep(0.02)
    back = monotonic() - began
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for answer in pool.map(lambda send: send(), [*asked.values()] * AT_ONCE):
            require("afterwards", answer)
    while (held := stage.play.server.run(_in_use)) > 1:  # which hears of changes
        if monotonic() - began > 2 * PATIENCE:
            raise CampaignFailed(f"{held} connections were not given back")
        sleep(0.05)
    return back
