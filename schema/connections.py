"""Relay's Node, connections and page info (https://relay.dev/graphql/connections.htm), over keyset pages."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import strawberry

from resolvers.paging import Page


@strawberry.interface(description="Anything with an id of its own.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque: clients must not parse it.")


NodeType = TypeVar("NodeType", bound=Node)


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    page: strawberry.Private[Page[Any]]
    start_cursor: str | None = strawberry.field(description="The cursor of the page's first edge.")
    end_cursor: str | None = strawberry.field(description="The cursor of the page's last edge.")

    @strawberry.field(description="Whether there is more after this page.")
    async def has_next_page(self) -> bool:
        return await self.page.has_next()

    @strawberry.field(description="Whether there is more before this page.")
    async def has_previous_page(self) -> bool:
        return await self.page.has_previous()


@strawberry.type(description="A node of a page and where it stands.")
class Edge(Generic[NodeType]):
    cursor: str = strawberry.field(description="Where the node stands: pass it as after or before. Opaque.")
    node: NodeType = strawberry.field(description="What stands there.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[NodeType]):
    page: strawberry.Private[Page[Any]]
    edges: list[Edge[NodeType]] = strawberry.field(description="The page's nodes with their cursors.")
    nodes: list[NodeType] = strawberry.field(description="The page's nodes.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")

    @strawberry.field(description="How many there are on all pages together.")
    async def total_count(self) -> int:
        return await self.page.total_count()


def connect(page: Page[Any], node_of: Callable[[Any], NodeType]) -> Connection[NodeType]:
    """A page of rows as a connection."""
    edges = [Edge(cursor=page.cursor(row), node=node_of(row)) for row in page.rows]
    return Connection(
        page=page,
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=PageInfo(
            page=page,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )
