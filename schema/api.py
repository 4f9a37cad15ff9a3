"""The whole API, composed."""

from copy import copy
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path

import strawberry
from graphql import get_named_type
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition

import schema.enums
from schema.budget import Allowance
from schema.execution import Executor
from schema.introspection import tell_of_any_type
from schema.limits import STANDARD, Limits
from schema.manifest import read_manifest
from schema.mutations.accounts import AccountMutations
from schema.mutations.checking import CheckingMutations, take_input_as_it_is
from schema.mutations.credentials import CredentialMutations
from schema.mutations.identities import IdentityMutations
from schema.mutations.services import ServiceMutations
from schema.mutations.sessions import SessionMutations
from schema.mutations.tokens import TokenMutations
from schema.mutations.users import UserMutations
from schema.mutations.webhooks import WebhookMutations
from schema.objects import AccessToken, Account, AuditEvent, Credential, Identity, Service, User, WebhookEndpoint
from schema.persisted import PersistedDocuments
from schema.queries import Query
from schema.scalars import DateTime
from schema.subscriptions import Subscription


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
    limits = STANDARD
    allowance = Allowance()
    documents = PersistedDocuments()

    def describe_inputs(self) -> None:
        """A mutation's input is described by its type: there is no more to say of the argument."""
        assert self._schema.mutation_type is not None  # noqa: S101  (ours has one)
        for mutation in self._schema.mutation_type.fields.values():
            for argument in mutation.args.values():
                argument.description = argument.description or get_named_type(argument.type).description

    def conceal_values(self) -> None:
        """What is taken and answered may be a secret, so that in Python, too, none of it shows what is in it."""
        for entry in self.schema_converter.type_map.values():
            if isinstance(entry.definition, StrawberryObjectDefinition):
                entry.definition.origin.__repr__ = _without_values  # type: ignore[assignment]

    @cached_property
    def text(self) -> str:
        """In GraphQL's schema definition language."""
        return self.as_str()

    @cached_property
    def executor(self) -> Executor:
        """What executes operations."""
        take_input_as_it_is(self._schema)
        tell_of_any_type(self._schema)
        return Executor(self._schema, self.limits, self.allowance)


def _without_values(value: object) -> str:
    return f"{type(value).__name__}(…)"


def compose() -> Api:
    """The schema, within standard limits."""
    assert schema.enums  # noqa: S101  (imported for the names and descriptions it gives)
    api = Api(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Account, User, AccessToken, Identity, Service, Credential, AuditEvent, WebhookEndpoint],
        config=StrawberryConfig(scalar_map={datetime: DateTime}),
    )
    api.describe_inputs()
    api.conceal_values()
    return api


# It takes a tenth of a second, and no setting changes it.
_compose_once = cache(compose)


def build_api(
    limits: Limits = STANDARD,
    allowance: Allowance = Api.allowance,
    trusted_documents: Path | None = None,
    *,
    persisted_queries: bool = True,
) -> Api:
    """The schema, ready to execute within these limits; where there is a list of trusted documents, those alone. Raises
    ManifestUnusable and OSError."""
    api = copy(_compose_once())
    api.limits, api.allowance = limits, allowance
    trusted = read_manifest(trusted_documents, api.executor) if trusted_documents else None
    api.documents = PersistedDocuments(trusted, automatic=persisted_queries)
    return api
