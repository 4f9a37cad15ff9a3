"""Relay's Node, connections and page info (https://relay.dev/graphql/connections.htm), over keyset pages."""

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

import strawberry

from resolvers.paging import Page
from schema.lazy import Lazy


@strawberry.interface(description="Anything with an id of its own.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque: clients must not parse it.")


NodeType = TypeVar("NodeType", bound=Node)


@strawberry.type(description="Where a page lies in its list.")
class PageInfo(Lazy):
    start_cursor: str | None = strawberry.field(description="The cursor of the page's first edge.")
    end_cursor: str | None = strawberry.field(description="The cursor of the page's last edge.")

    def __init__(self, page: Page[Any]) -> None:
        self.page = page

    @strawberry.field(description="Whether there is more after this page.")
    async def has_next_page(self) -> bool:
        return await self.page.has_next()

    @strawberry.field(description="Whether there is more before this page.")
    async def has_previous_page(self) -> bool:
        return await self.page.has_previous()

    FIELDS: ClassVar = {
        "start_cursor": lambda self: self.page.cursor(self.page.rows[0]) if self.page.rows else None,
        "end_cursor": lambda self: self.page.cursor(self.page.rows[-1]) if self.page.rows else None,
    }


@strawberry.type(description="A node of a page and where it stands.")
class Edge(Lazy, Generic[NodeType]):
    cursor: str = strawberry.field(description="Where the node stands: pass it as after or before. Opaque.")
    node: NodeType = strawberry.field(description="What stands there.")

    def __init__(self, page: Page[Any], row: Any, node: NodeType) -> None:
        self.page, self.row, self.node = page, row, node

    FIELDS: ClassVar = {"cursor": lambda self: self.page.cursor(self.row)}


@strawberry.type(description="One page of a list.")
class Connection(Lazy, Generic[NodeType]):
    edges: list[Edge[NodeType]] = strawberry.field(description="The page's nodes with their cursors.")
    nodes: list[NodeType] = strawberry.field(description="The page's nodes.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")

    def __init__(self, page: Page[Any], node_of: Callable[[Any], NodeType]) -> None:
        self.page, self.node_of = page, node_of

    @strawberry.field(
        description="How many there are on all pages together, counted up to 10,000: 10001 says that there are more."
    )
    async def total_count(self) -> int:
        return await self.page.total_count()

    FIELDS: ClassVar = {
        "edges": lambda self: [
            Edge(self.page, row, node) for row, node in zip(self.page.rows, self.nodes, strict=True)
        ],
        "nodes": lambda self: [self.node_of(row) for row in self.page.rows],
        "page_info": lambda self: PageInfo(self.page),
    }


def connect(page: Page[Any], node_of: Callable[[Any], NodeType]) -> Connection[NodeType]:
    """A page of rows as a connection."""
    return Connection(page, node_of)
