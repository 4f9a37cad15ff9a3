"""What clients and gateways do with a key and secret."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import strawberry
from graphql import GraphQLResolveInfo, GraphQLSchema
from strawberry import UNSET

from auth.crypto.secret import Secret
from models.credential import Credential as CredentialRow
from resolvers import check_credential
from resolvers.caller import Caller
from resolvers.check_credential import Decision, DecisionCode, Question, Verdict
from schema.context import Context, Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import given
from schema.objects import Credential


@strawberry.input(description="A key and its secret.")
class LoginInput:
    api_key: str = strawberry.field(description="The key, as it was delivered.")
    api_secret: str = strawberry.field(description="The secret, as it was delivered.")


@strawberry.input(description="A key and secret that somebody presented.")
class VerifyCredentialInput:
    api_key: str = strawberry.field(description="The key, as it was presented.")
    api_secret: str = strawberry.field(description="The secret, as it was presented.")
    service: str | None = strawberry.field(
        default=UNSET,
        description="The code of the service that is asked for; another's credential is WRONG_SERVICE. Left out: any.",
    )

    client_address: str | None = strawberry.field(
        default=UNSET, description="Who presented them: a credential kept to networks is let in only from there."
    )

    def question(self) -> Question:
        return Question(self.api_key, Secret(self.api_secret), given(self.service), given(self.client_address))


@strawberry.input(description="Several keys and secrets.")
class VerifyCredentialsInput:
    credentials: list[VerifyCredentialInput] = strawberry.field(description="What was presented, at most 100 of it.")


@strawberry.type(description="An access token.")
class LoginPayload(Payload):
    access_token: str | None = strawberry.field(default=None, description="A JWT in the profile of RFC 9068, ES256.")
    token_type: str | None = strawberry.field(
        default=None, description="Bearer: the token goes into the header Authorization."
    )
    expires_in: int | None = strawberry.field(default=None, description="Seconds until the token expires.")
    scope: str | None = strawberry.field(
        default=None, description="The service's code. Empty while the service may not be used."
    )


class _Rows:
    """The rows of the credentials that verdicts are about: no decision needs them, so they are read when the first is
    asked for, all in one statement."""

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        self._verdicts = verdicts
        self._rows: asyncio.Task[Mapping[bytes, CredentialRow]] | None = None

    async def of(self, verdict: Verdict) -> CredentialRow | None:
        if verdict.known is None:
            return None
        if self._rows is None:
            self._rows = asyncio.ensure_future(check_credential.rows_of(self._verdicts))
        return (await self._rows).get(verdict.known.id)


@strawberry.type(description="Whether a key and secret are to be let in, now.")
class VerifyCredentialPayload(Payload):
    decision: Decision = strawberry.field(description="Whether to let the caller in.")
    code: DecisionCode = strawberry.field(description="Why; OK with ALLOW.")
    verdict: strawberry.Private[Verdict]
    rows: strawberry.Private[_Rows]

    @strawberry.field(description="Whose key it is; null where the key or the secret is not right.")
    async def credential(self, info: Info) -> Credential | None:
        row = await self.rows.of(self.verdict)
        return Credential.of(row, info.context.caller) if row else None


def _answers(verdicts: Sequence[Verdict]) -> list[VerifyCredentialPayload]:
    rows = _Rows(verdicts)
    return [
        VerifyCredentialPayload(decision=verdict.decision, code=verdict.code, verdict=verdict, rows=rows)
        for verdict in verdicts
    ]


@strawberry.type(description="The answers, in the order asked.")
class VerifyCredentialsPayload(Payload):
    results: list[VerifyCredentialPayload] | None = strawberry.field(
        default=None, description="One for each of the credentials asked about."
    )


@strawberry.type
class CheckingMutations:
    @strawberry.mutation(
        description="What an API client does with its key and secret: a short-lived access token for the service. "
        "INVALID_CREDENTIALS does not say which was wrong; with the right secret the true reason is told."
    )
    @answering_with_user_errors
    async def login(self, info: Info, input: LoginInput) -> LoginPayload:
        secret = Secret(input.api_secret)
        issued = await check_credential.login(info.context.caller, api_key=input.api_key, api_secret=secret)
        return LoginPayload(
            access_token=issued.token.reveal(),
            token_type="Bearer",  # noqa: S106
            expires_in=issued.expires_in,
            scope=issued.scope,
        )

    @strawberry.mutation(description="What a gateway asks: is this key and secret to be let in, now?")
    async def verify_credential(self, info: Info, input: VerifyCredentialInput) -> VerifyCredentialPayload:
        return await _verify_one(info.context.caller, input.question())

    @strawberry.mutation(description="What verifyCredential answers, of up to 100 at once, in the order asked.")
    async def verify_credentials(self, info: Info, input: VerifyCredentialsInput) -> VerifyCredentialsPayload:
        return await _verify_all(info.context.caller, [each.question() for each in input.credentials])


async def _verify_one(caller: Caller, question: Question) -> VerifyCredentialPayload:
    (answer,) = _answers([await check_credential.verify_credential(caller, question)])
    return answer


async def _verify_all(caller: Caller, questions: list[Question]) -> VerifyCredentialsPayload:
    return VerifyCredentialsPayload(results=_answers(await check_credential.verify_credentials(caller, questions)))


def take_input_as_it_is(schema: GraphQLSchema) -> None:
    """Has these two read their input as graphql-core coerced it. Strawberry would make an object of each credential
    first, which takes longer than checking it."""

    async def verify_credential(_root: Any, info: GraphQLResolveInfo[Context], input: Any) -> VerifyCredentialPayload:
        return await _verify_one(info.context.caller, _question(input))

    async def verify_credentials(_root: Any, info: GraphQLResolveInfo[Context], input: Any) -> VerifyCredentialsPayload:
        return await _verify_all(info.context.caller, [_question(each) for each in input["credentials"]])

    assert schema.mutation_type is not None  # noqa: S101  (ours has one)
    schema.mutation_type.fields["verifyCredential"].resolve = verify_credential
    schema.mutation_type.fields["verifyCredentials"].resolve = verify_credentials


def _question(input: Mapping[str, Any]) -> Question:
    return Question(input["apiKey"], Secret(input["apiSecret"]), input.get("service"), input.get("clientAddress"))
