"""The whole API, composed."""

from datetime import datetime
from functools import cached_property

import strawberry
from graphql import get_named_type
from strawberry.schema.config import StrawberryConfig

import schema.enums
from schema.execution import Executor
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
from schema.plain_fields import PlainFieldsExecutor
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
    def describe_inputs(self) -> None:
        """A mutation's input is described by its type: there is no more to say of the argument."""
        assert self._schema.mutation_type is not None  # noqa: S101  (ours has one)
        for mutation in self._schema.mutation_type.fields.values():
            for argument in mutation.args.values():
                argument.description = argument.description or get_named_type(argument.type).description

    @cached_property
    def executor(self) -> Executor:
        """What executes operations."""
        take_input_as_it_is(self._schema)
        return Executor(self._schema, PlainFieldsExecutor)


def build_api() -> Api:
    """The schema, ready to execute."""
    assert schema.enums  # noqa: S101  (imported for the names and descriptions it gives)
    api = Api(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Account, User, AccessToken, Identity, Service, Credential, AuditEvent, WebhookEndpoint],
        config=StrawberryConfig(scalar_map={datetime: DateTime}),
    )
    api.describe_inputs()
    return api
