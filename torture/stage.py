"""People and things for campaigns, made through the API: each customer has their own, so that each knows what became
of them without asking what others did."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.support.server import Client
from tests.support.world import OPERATOR, PASSWORD

_ACCOUNTS = 2


@dataclass(frozen=True)
class Customer:
    """A member, by a session token, and what is theirs: two services, by id and code, that an identity is linked to,
    and a user who is nobody else's to change."""

    number: int
    account: str
    administrator: str
    member: str
    member_id: str
    email: str
    services: tuple[str, str]
    codes: tuple[str, str]
    identity: str
    puppet: str


@dataclass(frozen=True)
class Stage:
    """Tokens of the operator and of a gateway, and the customers, in two accounts."""

    operator: str
    gateway: str
    customers: list[Customer]


def make_stage(url: str, customers: int) -> Stage:
    """Through a server with an operator and nobody else."""
    nobody = Client(url)
    operator_token = nobody.do("signIn", "sessionToken", email=OPERATOR, password=PASSWORD)["sessionToken"]
    operator = Client(url, operator_token)
    end = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    gateway = operator.do("createGatewayToken", "token", name="edge", expiresAt=end)["token"]
    accounts = [_make_account(operator, number) for number in range(min(_ACCOUNTS, customers))]
    made = [_make_customer(operator, number, *accounts[number % len(accounts)]) for number in range(customers)]
    return Stage(operator_token, gateway, made)


def _make_account(operator: Client, number: int) -> tuple[str, str]:
    """Its id, and the token of its administrator."""
    account = operator.do("createAccount", "account { id }", name=f"Account {number}")["account"]["id"]
    operator.do("updateCredentialPolicy", "account { id }", accountId=account, maxActiveCredentialsPerUser=1000)
    _, token = _make_person(operator, account, f"administrator@a{number}.example", "ADMINISTRATOR")
    return account, token


def _make_customer(operator: Client, number: int, account: str, administrator: str) -> Customer:
    email = f"member{number}@customers.example"
    member_id, member = _make_person(operator, account, email, "MEMBER")
    puppet = _invite(operator, account, f"puppet{number}@customers.example", "MEMBER")["user"]["id"]
    identity = operator.do(
        "submitIdentity", "identity { id }", accountId=account, name=f"Customer {number}", kind="ORGANIZATION"
    )["identity"]["id"]
    operator.do("approveIdentity", "identity { id }", identityId=identity)
    codes = (f"first-{number}", f"second-{number}")
    first, second = (
        operator.do("createService", "service { id }", accountId=account, name=code, code=code, identityIds=[identity])[
            "service"
        ]["id"]
        for code in codes
    )
    return Customer(number, account, administrator, member, member_id, email, (first, second), codes, identity, puppet)


def _make_person(operator: Client, account: str, email: str, role: str) -> tuple[str, str]:
    """Id and session token."""
    invited = _invite(operator, account, email, role)
    signed_in = Client(operator.url).do(
        "acceptInvitation", "sessionToken", invitationToken=invited["invitationToken"], password=PASSWORD
    )
    return invited["user"]["id"], signed_in["sessionToken"]


def _invite(operator: Client, account: str, email: str, role: str) -> dict[str, dict[str, str]]:
    invited: dict[str, dict[str, str]] = operator.do(
        "createUser",
        "user { id } invitationToken",
        accountId=account,
        email=email,
        displayName=email.partition("@")[0],
        role=role,
        apiAccess=role == "MEMBER",
    )
    return invited
