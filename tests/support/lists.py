"""The lists of the API, read page by page."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from tests.support.server import Client

# Of the lists that can be filtered.
TYPES = {
    "accounts": "Account",
    "users": "User",
    "identities": "Identity",
    "services": "Service",
    "credentials": "Credential",
    "auditEvents": "AuditEvent",
}
_OWNERS = {"idty": "Identity", "svc": "Service", "cred": "Credential"}
_PAGE = """
    totalCount nodes { id } edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
"""


@dataclass(frozen=True)
class Page:
    ids: list[str]
    cursors: list[str]
    total: int
    has_next: bool
    has_previous: bool
    start: str | None
    end: str | None

    @classmethod
    def of(cls, connection: Any) -> Self:
        edges, info = connection["edges"], connection["pageInfo"]
        ids = [edge["node"]["id"] for edge in edges]
        assert [node["id"] for node in connection["nodes"]] == ids
        return cls(
            ids,
            [edge["cursor"] for edge in edges],
            connection["totalCount"],
            info["hasNextPage"],
            info["hasPreviousPage"],
            info["startCursor"],
            info["endCursor"],
        )


@dataclass(frozen=True)
class Listing:
    """A list as somebody sees it: a field of the query or, `inside` something with an id, of that."""

    client: Client
    field: str
    inside: str | None = None
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)

    def having(self, **filter_: Any) -> "Listing":
        """The same list, of what fits a filter."""
        return Listing(self.client, self.field, self.inside, {**self.arguments, "filter": filter_})

    def by(self, order_field: str, direction: str = "ASC") -> "Listing":
        """The same list in another order."""
        order = {"field": order_field, "direction": direction}
        return Listing(self.client, self.field, self.inside, {**self.arguments, "orderBy": order})

    def answer(self, selection: str = _PAGE, **page: Any) -> dict[str, Any]:
        """The whole answer to being asked for a page, by first, after, last and before."""
        variables = {**self.arguments, **page}
        type_ = TYPES.get(self.field)
        types = {
            **dict.fromkeys(("first", "last"), "Int"),
            **dict.fromkeys(("after", "before"), "String"),
            "filter": f"{type_}Filter",
            "orderBy": f"{type_}Order",
        }
        declared = "".join(f", ${name}: {types[name]}" for name in variables)
        passed = ", ".join(f"{name}: ${name}" for name in variables)
        asked = f"{self.field}{f'({passed})' if passed else ''} {{ {selection} }}"
        if self.inside:
            asked = f"... on {_OWNERS[self.inside.partition('_')[0]]} {{ {asked} }}"
            variables = {**variables, "id": self.inside}
            return self.client.execute(f"query ($id: ID!{declared}) {{ node(id: $id) {{ {asked} }} }}", **variables)
        declared = declared.removeprefix(", ")
        return self.client.execute(f"query{f' ({declared})' if declared else ''} {{ {asked} }}", **variables)

    def page(self, **page: Any) -> Page:
        answer = self.answer(**page)
        assert "errors" not in answer, answer["errors"]
        found = answer["data"]["node"] if self.inside else answer["data"]
        return Page.of(found[self.field])

    def ids(self) -> list[str]:
        """Everything in it."""
        return [id_ for page in self.forward(100) for id_ in page.ids]

    def refusal(self, **page: Any) -> tuple[str, str]:
        """Code and message of the one top-level error that a page is refused with."""
        answer = self.answer(**page)
        (error,) = answer["errors"]
        return error["extensions"]["code"], error["message"]

    def forward(self, size: int, between: Callable[[], None] = lambda: None) -> Iterator[Page]:
        """The pages from the first to the last."""
        page = self.page(first=size)
        yield page
        while page.has_next:
            between()
            page = self.page(first=size, after=page.end)
            yield page

    def backward(self, size: int, between: Callable[[], None] = lambda: None) -> Iterator[Page]:
        """The pages from the last to the first."""
        page = self.page(last=size)
        yield page
        while page.has_previous:
            between()
            page = self.page(last=size, before=page.start)
            yield page
