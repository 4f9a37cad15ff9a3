"""The whole API, composed."""

from datetime import datetime

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

import schema.enums
from schema.mutations.accounts import AccountMutations
from schema.mutations.checking import CheckingMutations
from schema.mutations.credentials import CredentialMutations
from schema.mutations.identities import IdentityMutations
from schema.mutations.services import ServiceMutations
from schema.mutations.sessions import SessionMutations
from schema.mutations.tokens import TokenMutations
from schema.mutations.users import UserMutations
from schema.mutations.webhooks import WebhookMutations
from schema.objects import AccessToken, Account, AuditEvent, Credential, Identity, Service, User, WebhookEndpoint
from schema.operations import OneOperation
from schema.queries import Query
from schema.scalars import DateTime

MAXIMUM_TOKENS = 2000
_CACHED_DOCUMENTS = 256


@strawberry.type(
    description="Every mutation answers with a payload. What the caller could expect to go wrong stands in userErrors, "
    "with the changed object then null and nothing changed; the response's top-level errors are for a caller who is "
    "not signed in or not allowed, for limits, and for faults, each with extensions.code."
)
class Mutation(
    SessionMutations,
    TokenMutations,
    AccountMutations,
    WebhookMutations,
    UserMutations,
    IdentityMutations,
    ServiceMutations,
    CredentialMutations,
    CheckingMutations,
):
    pass


class Api(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Strawberry would log each error with the text of the document around it, and that may hold a password. The
        server logs what was not foreseen, without it."""


def build_api() -> Api:
    """The schema, ready to execute."""
    assert schema.enums  # noqa: S101  (imported for the names and descriptions it gives)
    return Api(
        query=Query,
        mutation=Mutation,
        types=[Account, User, AccessToken, Identity, Service, Credential, AuditEvent, WebhookEndpoint],
        config=StrawberryConfig(scalar_map={datetime: DateTime}),
        extensions=[
            OneOperation,
            lambda: MaxTokensLimiter(max_token_count=MAXIMUM_TOKENS),
            lambda: ParserCache(maxsize=_CACHED_DOCUMENTS),
            lambda: ValidationCache(maxsize=_CACHED_DOCUMENTS),
        ],
    )
