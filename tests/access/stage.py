"""One server and two accounts full of everything, for all the walks; and somebody of each role to send through them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from graphql import GraphQLEnumType, GraphQLNamedType

from models.audit import DEPLOYMENT_CHAIN
from models.ids import parse_global_id
from tests.access.api import Path
from tests.support.server import START, Client
from tests.support.world import PASSWORD, AccountWorld, Play

# In the order of the matrix' columns: who they are, and the role and API access of those who are people.
COLUMNS: Mapping[str, tuple[str, bool] | None] = {
    "operator": ("OPERATOR", False),
    "administrator": ("ADMINISTRATOR", False),
    "member": ("MEMBER", True),
    "no-access": ("MEMBER", False),
    "auditor": ("AUDITOR", False),
    "gateway": None,
    "gateway-all": None,
    "token": None,
    "nobody": None,
}
IN_A_MONTH = (START + timedelta(days=30)).isoformat()
# Of what does not happen here: messages would be sent, and recorded, while a test looks on.
WEBHOOK: Mapping[str, Any] = {"url": "https://receiver.example/sealkey", "eventTypes": ["SERVICE_ENDING"]}
# So that one person can try all there is to do with a credential.
ROOM = {"maxActiveCredentialsPerUser": 20}
OF_THE_TOKEN = "READ_SERVICES"
"""The one permission of the token in the column of that name; it is the administrator's."""

TYPE_OF_INPUT = {
    "id": "Credential",
    "ids": "Credential",
    "accountId": "Account",
    "userId": "User",
    "ownerId": "User",
    "actorId": "User",
    "identityId": "Identity",
    "identityIds": "Identity",
    "serviceId": "Service",
    "credentialId": "Credential",
    "tokenId": "AccessToken",
    "endpointId": "WebhookEndpoint",
    "subjectId": "Credential",
}


def row_id(global_id: str) -> str:
    """What the database calls a thing."""
    parsed = parse_global_id(global_id)
    assert parsed is not None
    return str(parsed[1])


@dataclass(frozen=True)
class Newcomer:
    id: str
    email: str
    client: Client


@dataclass(frozen=True)
class Things:
    """Of one account, something of every type that has an id of its own; the key and secret of the credential; and
    what a colleague of its owner's has."""

    ids: Mapping[str, str]
    keys: Mapping[str, str]
    gateway_token: str
    colleague: Newcomer
    colleagues: Mapping[str, str]


class Stage:
    """Who is who and what is what, on a running server.

    `mine` is of alder, which everybody in `clients` belongs to who belongs to an account; `theirs` is of birch.
    """

    def __init__(self, play: Play) -> None:
        self._numbers = count(1)
        self.play = play
        self.operator = play.operator
        self.mine = self._fill(play.alder, "alder", play.administrator, play.member)
        self.theirs = self._fill(play.birch, "birch", play.other_administrator, play.other_member)
        administrators = self.token(play.administrator, [OF_THE_TOKEN])["token"]
        everywhere = self.operator.do("createGatewayToken", "token", name="everywhere", expiresAt=IN_A_MONTH)
        self.clients: dict[str, Client] = {
            "operator": play.operator,
            "administrator": play.administrator,
            "member": play.member,
            "no-access": play.member_without_access,
            "auditor": play.auditor,
            "gateway": play.server.client(self.mine.gateway_token),
            "gateway-all": play.server.client(everywhere["token"]),
            "token": play.server.client(administrators),
            "nobody": play.nobody,
        }
        assert list(self.clients) == list(COLUMNS)
        for client in self.clients.values():
            client.post("{ viewer { role } }")  # which notes that a token was used, as once a minute
        play.server.keep_house()  # and so leaves nothing to do while a test looks on

    def chain_of(self, column: str) -> str:
        """The chain in which a caller's own acts are recorded."""
        of_all = column in {"operator", "gateway-all"}
        return str(DEPLOYMENT_CHAIN) if of_all else row_id(self.mine.ids["Account"])

    def actor_of(self, column: str) -> str:
        """Who a caller is in the audit log; machines and nobody are None there."""
        viewer = self.clients[column].execute("{ viewer { user { id } } }")["data"]
        return row_id(viewer["viewer"]["user"]["id"]) if viewer else "None"

    def unique(self, word: str) -> str:
        """A name that nothing has yet, and that anything may have."""
        return f"{word}_{next(self._numbers)}"

    def value_of(self, path: Path, type_: GraphQLNamedType) -> Any:
        """Something valid for any input, by its name and type: an id of alder's, a new name, a time to come."""
        name = path[-1]
        if type_.name == "ID":
            return self.mine.ids[TYPE_OF_INPUT[name]]
        if isinstance(type_, GraphQLEnumType):
            fixed = {"Role": "MEMBER", "Permission": OF_THE_TOKEN, "WebhookEventType": WEBHOOK["eventTypes"][0]}
            return fixed.get(type_.name, next(iter(type_.values)))
        if type_.name == "DateTime":
            return IN_A_MONTH
        return {"Boolean": False, "Int": 1, "String": self._text(name)}[type_.name]

    def person(self, role: str, api_access: bool = False) -> Client:
        """Somebody new in alder, or, as an operator, of the provider, signed in."""
        return self.newcomer(None if role == "OPERATOR" else self.play.alder, role, api_access).client

    def newcomer(self, account: AccountWorld | None, role: str, api_access: bool = False) -> Newcomer:
        """Somebody new in an account, signed in."""
        made = self.invite(role, api_access, account)
        accepted = self.play.nobody.do(
            "acceptInvitation", "sessionToken", invitationToken=made["invitationToken"], password=PASSWORD
        )
        client = self.play.server.client(accepted["sessionToken"])
        return Newcomer(made["user"]["id"], made["user"]["email"], client)

    def invite(self, role: str, api_access: bool = False, account: AccountWorld | None = None) -> dict[str, Any]:
        """A new user who has not been here yet."""
        where = {"accountId": account.id} if account else {}
        name = self.unique("somebody")
        made: dict[str, Any] = self.operator.do(
            "createUser",
            "user { id email } invitationToken",
            **where,
            email=f"{name}@{'birch' if account is self.play.birch else 'alder'}.example",
            displayName=name,
            role=role,
            apiAccess=api_access,
        )
        return made

    def token(self, owner: Client, permissions: list[str]) -> dict[str, Any]:
        """The payload of a new personal access token."""
        made: dict[str, Any] = owner.do(
            "createPersonalAccessToken", "token tokenId", name="script", permissions=permissions, expiresAt=IN_A_MONTH
        )
        return made

    def credential(self, owner: Client, account: AccountWorld, name: str) -> dict[str, Any]:
        """The payload of a new credential."""
        made: dict[str, Any] = self.play.generate(
            name, owner, serviceId=account.services["certificates"], identityId=account.identities["active"]
        )
        return made

    def _text(self, name: str) -> str:
        if name == "email":
            return f"{self.unique('new')}@alder.example"
        fixed: dict[str, str] = {
            "password": PASSWORD,
            "currentPassword": PASSWORD,
            "newPassword": f"{PASSWORD}, another",
            "invitationToken": "sealkey_invitation_nonsense",
            "url": WEBHOOK["url"],
            "networks": "203.0.113.0/24",
            **self.mine.keys,
        }
        return fixed[name] if name in fixed else self.unique("new")

    def _fill(self, account: AccountWorld, where: str, administrator: Client, member: Client) -> Things:
        administrator.do("updateCredentialPolicy", "account { id }", accountId=account.id, **ROOM)
        colleague = self.newcomer(account, "MEMBER", api_access=True)
        old = self.credential(member, account, f"{where}_old")["credential"]["id"]
        member.do("revokeCredential", "credential { id }", credentialId=old)
        made = self.credential(member, account, f"{where}_ci")
        gateway = administrator.do("createGatewayToken", "token tokenId", name=f"{where}_gateway", expiresAt=IN_A_MONTH)
        endpoint = administrator.do("createWebhookEndpoint", "endpoint { id }", **WEBHOOK)["endpoint"]
        self.token(administrator, ["READ_AUDIT_LOG"])
        self.token(member, ["GENERATE_CREDENTIALS"])
        events = administrator.data("{ auditEvents(last: 1) { nodes { id } } }")["nodes"]
        return Things(
            ids={
                "Account": account.id,
                "User": colleague.id,
                "Identity": account.identities["active"],
                "Service": account.services["certificates"],
                "Credential": made["credential"]["id"],
                "AccessToken": gateway["tokenId"],
                "AuditEvent": events[0]["id"],
                "WebhookEndpoint": endpoint["id"],
            },
            keys={key: made["delivery"][key] for key in ("apiKey", "apiSecret")},
            gateway_token=gateway["token"],
            colleague=colleague,
            colleagues={
                "Credential": self.credential(colleague.client, account, f"{where}_colleague")["credential"]["id"],
                "AccessToken": self.token(colleague.client, ["READ_CREDENTIALS"])["tokenId"],
            },
        )
