"""The lists inside things, each read for all things of a level at once.

Who has the thing before them was let see it; what of its list they see is decided as for the list as a whole.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from tortoise.queryset import QuerySet

from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.audit import AuditEvent
from models.credential import Credential
from models.identity import Identity
from models.rows import PARENT, Parent
from models.service import Service
from resolvers.batching import Batches
from resolvers.caller import Caller
from resolvers.paging import Order, Page, PageRequest, Row, any_outside_each, count_each, load_pages
from resolvers.reach import in_reach
from resolvers.reading import LIVING, OLDEST_FIRST, linked_to_identity, linked_to_service, log_order


@dataclass(frozen=True)
class Inside(Generic[Row]):
    """A list inside something: what it takes to read it, and its rows within a scope, where `PARENT` is the thing's
    id."""

    permission: Permission
    rows: Callable[[Scope], QuerySet[Row]]
    order: Callable[[Scope], Order] = lambda _: OLDEST_FIRST

    def of(self, caller: Caller) -> tuple[QuerySet[Row], Order]:
        """Raises Denied."""
        scope = authorize(caller.principal, self.permission)
        return self.rows(scope), self.order(scope)


SERVICES_OF_IDENTITY = Inside(
    Permission.READ_SERVICES, lambda scope: in_reach(Service, scope).filter(linked_to_identity(PARENT))
)
IDENTITIES_OF_SERVICE = Inside(
    Permission.READ_IDENTITIES, lambda scope: in_reach(Identity, scope).filter(linked_to_service(PARENT))
)
CREDENTIALS_OF_IDENTITY = Inside(
    Permission.READ_CREDENTIALS, lambda scope: in_reach(Credential, scope).filter(LIVING, identity_id=PARENT)
)
CREDENTIALS_OF_SERVICE = Inside(
    Permission.READ_CREDENTIALS, lambda scope: in_reach(Credential, scope).filter(LIVING, service_id=PARENT)
)
AUDIT_EVENTS_OF_CREDENTIAL = Inside(
    Permission.READ_AUDIT_LOG, lambda scope: in_reach(AuditEvent, scope).filter(subject_id=PARENT), log_order
)


async def read_inside(
    caller: Caller, batches: Batches, inside: Inside[Row], parent: Parent, request: PageRequest
) -> Page[Row]:
    """A page of the list in one of the things that are asked about together. Raises Denied, BadArgument."""

    async def pages(parents: Sequence[Parent]) -> Mapping[Parent, Page[Row]]:
        rows, order = inside.of(caller)
        unread = {parent: _UnreadOfEach(caller, batches, inside, parent, request) for parent in parents}
        return await load_pages(rows, order, request, unread)

    return await batches.ask((inside, request), parent, pages)


@dataclass(frozen=True)
class _UnreadOfEach(Generic[Row, Parent]):
    caller: Caller
    batches: Batches
    inside: Inside[Row]
    parent: Parent
    request: PageRequest

    def count(self) -> Awaitable[int]:
        return self.batches.ask((self.inside, "count"), self.parent, self._counts)

    def has_outside(self) -> Awaitable[bool]:
        return self.batches.ask((self.inside, "outside", self.request), self.parent, self._any_outside)

    async def _counts(self, parents: Sequence[Any]) -> Mapping[Any, int]:
        rows, _ = self.inside.of(self.caller)
        return await count_each(rows, parents)

    async def _any_outside(self, parents: Sequence[Any]) -> Mapping[Any, bool]:
        rows, order = self.inside.of(self.caller)
        return await any_outside_each(rows, order, self.request, parents)
