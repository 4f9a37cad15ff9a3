"""Asking for exports."""

import csv
import io
import json
from typing import Any

import httpx

from tests.support.server import Client
from tests.support.world import Play

_PAGE = """query ($after: String, $filter: AuditEventFilter) {
    auditEvents(first: 100, after: $after, filter: $filter) {
        pageInfo { hasNextPage endCursor }
        nodes { id sequence type occurredAt actor { id email } subjectId sourceIp summary hash }
    }
}"""


def get(client: Client, headers: dict[str, str] | None = None, **parameters: Any) -> httpx.Response:
    url = f"{client.url}/audit/export"
    return httpx.get(url, params=parameters, headers=client.headers | (headers or {}), timeout=60)


def exported(client: Client, format_: str = "jsonl", **parameters: Any) -> list[dict[str, Any]]:
    """The events of an export that must succeed, as what they are called to what they are."""
    answer = get(client, format=format_, **parameters)
    assert answer.status_code == 200, answer.text
    return parsed(answer.content, format_)


def parsed(data: bytes, format_: str = "jsonl") -> list[dict[str, Any]]:
    if format_ == "jsonl":
        return [json.loads(line) for line in data.decode().splitlines()]
    return list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))


def listed(client: Client, **filter_: Any) -> list[dict[str, Any]]:
    """All that `auditEvents` shows, in the order of accounts' sequences, with the names that an export has."""
    nodes, after, more = list[dict[str, Any]](), None, True
    while more:
        page = client.data(_PAGE, after=after, filter=filter_)
        nodes += page["nodes"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    for node in nodes:
        actor = node.pop("actor") or {"id": None, "email": None}
        node |= {"actorId": actor["id"], "actorEmail": actor["email"]}
    return nodes


def problem(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and detail of a problem document, in which the rest is as it must be."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code"}
    assert body["status"] == answer.status_code
    return body["status"], body["code"], body["detail"]


def count(play: Play) -> int:
    """So many events there are."""
    return int(play.rows.execute("SELECT count(*) FROM audit_events")[0][0])
