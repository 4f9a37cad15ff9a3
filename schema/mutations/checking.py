"""What clients and gateways do with a key and secret."""

import strawberry
from strawberry import UNSET

from auth.crypto.secret import Secret
from resolvers import check_credential
from resolvers.check_credential import Decision, DecisionCode, Question, Verdict
from schema.context import Info
from schema.errors import Payload, answering_with_user_errors
from schema.inputs import given
from schema.objects import Credential


@strawberry.input(description="A key and its secret.")
class LoginInput:
    api_key: str = strawberry.field(description="As it was delivered.")
    api_secret: str = strawberry.field(description="As it was delivered.")


@strawberry.input(description="A key and secret that somebody presented.")
class VerifyCredentialInput:
    api_key: str = strawberry.field(description="As it was presented.")
    api_secret: str = strawberry.field(description="As it was presented.")
    service: str | None = strawberry.field(default=UNSET, description="Require this service's code.")

    client_address: str | None = strawberry.field(
        default=UNSET, description="Who presented them: a credential kept to networks is let in only from there."
    )

    def question(self) -> Question:
        return Question(self.api_key, Secret(self.api_secret), given(self.service), given(self.client_address))


@strawberry.input(description="Several keys and secrets.")
class VerifyCredentialsInput:
    credentials: list[VerifyCredentialInput] = strawberry.field(description="At most 100.")


@strawberry.type(description="An access token.")
class LoginPayload(Payload):
    access_token: str | None = strawberry.field(default=None, description="A JWT in the profile of RFC 9068, ES256.")
    token_type: str | None = strawberry.field(default=None, description="Bearer.")
    expires_in: int | None = strawberry.field(default=None, description="Seconds.")
    scope: str | None = strawberry.field(
        default=None, description="The service's code. Empty while the service may not be used."
    )


@strawberry.type(description="Whether a key and secret are to be let in, now.")
class VerifyCredentialPayload(Payload):
    decision: Decision = strawberry.field(description="Let in, or not.")
    code: DecisionCode = strawberry.field(description="Why.")
    verdict: strawberry.Private[Verdict]

    @strawberry.field(description="Whose key it is; null where the key or the secret is not right.")
    async def credential(self, info: Info) -> Credential | None:
        # The decision needs no row; who asks for more than that waits for it.
        row = await check_credential.row_of(self.verdict)
        return Credential.of(row, info.context.caller) if row else None

    @staticmethod
    def of(verdict: Verdict) -> "VerifyCredentialPayload":
        return VerifyCredentialPayload(decision=verdict.decision, code=verdict.code, verdict=verdict)


@strawberry.type(description="The answers, in the order asked.")
class VerifyCredentialsPayload(Payload):
    results: list[VerifyCredentialPayload] | None = strawberry.field(default=None, description="One for each question.")


@strawberry.type
class CheckingMutations:
    @strawberry.mutation(
        description="What an API client does with its key and secret: a short-lived access token for the service."
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
        caller = info.context.caller
        return VerifyCredentialPayload.of(await check_credential.verify_credential(caller, input.question()))

    @strawberry.mutation(description="Up to 100 at once, answered in the order asked.")
    async def verify_credentials(self, info: Info, input: VerifyCredentialsInput) -> VerifyCredentialsPayload:
        caller = info.context.caller
        questions = [each.question() for each in input.credentials]
        verdicts = await check_credential.verify_credentials(caller, questions)
        return VerifyCredentialsPayload(results=[VerifyCredentialPayload.of(verdict) for verdict in verdicts])
