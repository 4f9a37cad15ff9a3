"""Two accounts with people, identities and services, made once through the API and copied for each test."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from tests.support.rows import Rows
from tests.support.server import Client, RunningServer

PASSWORD = "correct horse battery staple"
OPERATOR = "operator@provider.example"


@dataclass
class AccountWorld:
    """The ids of an account, and its people's session tokens."""

    id: str = ""
    users: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    # active and other are ACTIVE and linked to both services; pending waits to be vetted; lone is ACTIVE, not linked.
    identities: dict[str, str] = field(default_factory=dict)
    # certificates and timestamps are ACTIVE, their codes are their names here.
    services: dict[str, str] = field(default_factory=dict)


@dataclass
class World:
    operator_token: str
    alder: AccountWorld
    birch: AccountWorld

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Self:
        saved = json.loads(path.read_text())
        return cls(saved["operator_token"], AccountWorld(**saved["alder"]), AccountWorld(**saved["birch"]))


class Play:
    """A running server and the world in it: who is who."""

    def __init__(self, server: RunningServer, world: World) -> None:
        self.server = server
        self.clock = server.clock
        self.rows = Rows(server.database_url, changed=server.forget)
        self.alder = world.alder
        self.birch = world.birch
        self.nobody = server.client()
        self.operator = server.client(world.operator_token)
        self.administrator = server.client(world.alder.tokens["administrator"])
        self.member = server.client(world.alder.tokens["member"])
        self.member_without_access = server.client(world.alder.tokens["member_without_access"])
        self.auditor = server.client(world.alder.tokens["auditor"])
        self.other_administrator = server.client(world.birch.tokens["administrator"])
        self.other_member = server.client(world.birch.tokens["member"])

    def generate(self, name: str = "ci", client: Client | None = None, **fields: Any) -> Any:
        """The payload of a generated credential of the member's, with its secret on screen."""
        wanted: dict[str, Any] = {
            "name": name,
            "serviceId": self.alder.services["certificates"],
            "identityId": self.alder.identities["active"],
            "delivery": {"method": "VIEW_AND_COPY"},
            **fields,
        }
        return (client or self.member).do("generateCredential", GENERATED, **wanted)

    def keys(self, name: str = "ci", **fields: Any) -> dict[str, str]:
        """Key and secret of a new credential of the member's, as the arguments that log in."""
        delivery = self.generate(name, **fields)["delivery"]
        return {key: delivery[key] for key in ("apiKey", "apiSecret")}

    def stay_signed_in(self) -> None:
        """Lets every session outlive a clock that is moved far."""
        forever = "'9999-01-01 00:00:00+00:00'"
        self.rows.execute(f"UPDATE sessions SET expires_at = {forever}, last_seen_at = {forever}")


GENERATED = """
    credential { id name maskedApiKey status usable blockers expiresAt }
    delivery {
        ... on ViewAndCopyDelivery { apiKey apiSecret csv { name mediaType contentBase64 } }
        ... on EncryptedFileDelivery {
            file { name mediaType contentBase64 } format publicKeyFingerprint decryptCommand
        }
    }
"""

_PEOPLE = [
    ("administrator", "ADMINISTRATOR", False),
    ("member", "MEMBER", True),
    ("member_without_access", "MEMBER", False),
    ("auditor", "AUDITOR", False),
]


class Server(Protocol):
    """What can be asked by clients."""

    def client(self, token: str | None = None) -> Client: ...


def make_world(server: Server, operator_password: str) -> World:
    signed_in = server.client().do("signIn", "sessionToken", email=OPERATOR, password=operator_password)
    operator = server.client(signed_in["sessionToken"])
    return World(signed_in["sessionToken"], _make_account(operator, "alder"), _make_account(operator, "birch"))


def _make_account(operator: Client, name: str) -> AccountWorld:
    account = AccountWorld(operator.do("createAccount", "account { id }", name=name.capitalize())["account"]["id"])
    for person, role, api_access in _PEOPLE:
        _make_person(operator, account, name, person, role, api_access)
    for identity in ("active", "other", "lone", "pending"):
        made = operator.do(
            "submitIdentity", "identity { id }", accountId=account.id, name=f"{name} {identity}", kind="ORGANIZATION"
        )
        account.identities[identity] = made["identity"]["id"]
        if identity != "pending":
            operator.do("approveIdentity", "identity { id }", identityId=made["identity"]["id"])
    for service in ("certificates", "timestamps"):
        made = operator.do(
            "createService",
            "service { id }",
            accountId=account.id,
            name=f"{name} {service}",
            code=service,
            identityIds=[account.identities["active"], account.identities["other"]],
        )
        account.services[service] = made["service"]["id"]
    return account


def _make_person(operator: Client, account: AccountWorld, where: str, person: str, role: str, api_access: bool) -> None:
    made = operator.do(
        "createUser",
        "user { id } invitationToken",
        accountId=account.id,
        email=f"{person}@{where}.example",
        displayName=person,
        role=role,
        apiAccess=api_access,
    )
    account.users[person] = made["user"]["id"]
    signed_in = Client(operator.url).do(
        "acceptInvitation", "sessionToken", invitationToken=made["invitationToken"], password=PASSWORD
    )
    account.tokens[person] = signed_in["sessionToken"]
