"""Two accounts with people, identities and services to play with, made by the same use cases that the API calls."""

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

from auth.crypto.secret import Secret
from auth.principal import Principal
from models.account import Account
from models.database import transaction
from models.identity import IdentityKind
from models.ids import Kind, global_id
from models.user import Role, User
from resolvers.accounts import create_account
from resolvers.caller import Caller, Deployment
from resolvers.errors import Refused
from resolvers.identities import approve_identity, submit_identity
from resolvers.services import create_service, suspend_service
from resolvers.sessions import accept_invitation, set_password
from resolvers.users import create_operator, create_user

OPERATOR = "operator@sealkey.example"


class DemoRefused(Exception):
    """The database holds something else than demo data; the message says so."""


@dataclass(frozen=True)
class Person:
    """Somebody to sign in as; the password was made this moment."""

    email: str
    role: Role
    password: Secret


_PEOPLE = {
    "Alder Bank": [
        ("ada@alder.example", "Ada Alder", Role.ADMINISTRATOR, False),
        ("max@alder.example", "Max Alder", Role.MEMBER, True),
        ("ida@alder.example", "Ida Alder", Role.MEMBER, False),
        ("tom@alder.example", "Tom Alder", Role.AUDITOR, False),
    ],
    "Birch Telecom": [
        ("bea@birch.example", "Bea Birch", Role.ADMINISTRATOR, False),
        ("ben@birch.example", "Ben Birch", Role.MEMBER, True),
    ],
}


async def prepare_demo(deployment: Deployment) -> list[Person]:
    """Makes the demo's data, or, where it is there from before, gives its people new passwords. Raises DemoRefused."""
    caller = Caller(None, None, deployment.clock(), deployment)
    emails = [OPERATOR, *(email for people in _PEOPLE.values() for email, *_ in people)]
    if await User.exists(email=OPERATOR):
        return [await _renewed(caller, email) for email in emails]
    if await User.exists() or await Account.exists():
        raise DemoRefused("This database is in use: demo data goes into an empty one. Set another SEALKEY_DATA_DIR.")
    async with transaction():  # all of it or nothing, so that who was interrupted can try again
        return await _make_everything(caller)


async def _make_everything(caller: Caller) -> list[Person]:
    password = _password()
    operator = await create_operator(caller, email=OPERATOR, display_name="Olga Operator", password=password)
    by_operator = replace(caller, principal=Principal.of_user(operator))
    people = [Person(OPERATOR, Role.OPERATOR, password)]
    for account_name in _PEOPLE:
        people += await _make_account(by_operator, account_name)
    return people


async def _make_account(caller: Caller, name: str) -> list[Person]:
    account = await create_account(caller, name=name)
    account_id = global_id(Kind.ACCOUNT, account.id)
    people = [await _make_person(caller, account_id, *person) for person in _PEOPLE[name]]
    await _make_services(caller, account_id, await _make_identities(caller, account_id, name))
    return people


async def _make_person(
    caller: Caller, account_id: str, email: str, display_name: str, role: Role, api_access: bool
) -> Person:
    invited = await create_user(
        caller, account_id=account_id, email=email, display_name=display_name, role=role, api_access=api_access
    )
    password = _password()
    await accept_invitation(
        replace(caller, principal=None), invitation_token=invited.invitation_token, password=password
    )
    return Person(email, role, password)


async def _make_identities(caller: Caller, account_id: str, name: str) -> list[str]:
    """Two that are active, and one that waits to be vetted; the ids of the active ones."""
    ids = []
    for identity_name, kind in ((name, IdentityKind.ORGANIZATION), (f"{name} Test Lab", IdentityKind.ORGANIZATION)):
        identity = await submit_identity(caller, account_id=account_id, name=identity_name, kind=kind)
        ids.append(global_id(Kind.IDENTITY, identity.id))
        await approve_identity(caller, identity_id=ids[-1], valid_until=caller.now + timedelta(days=730))
    domain = f"www.{name.partition(' ')[0].lower()}.example"
    await submit_identity(caller, account_id=account_id, name=domain, kind=IdentityKind.DOMAIN)
    return ids


async def _make_services(caller: Caller, account_id: str, identity_ids: list[str]) -> None:
    year, now = timedelta(days=365), caller.now
    for name, code, starts_at, expires_at in (
        ("Certificates", "certificates", None, now + year),
        ("Timestamps", "timestamps", None, None),
        ("Signatures, from next month", "signatures", now + timedelta(days=30), now + year),
        ("Validation", "validation", None, now + year),
    ):
        service = await create_service(
            caller,
            account_id=account_id,
            name=name,
            code=code,
            starts_at=starts_at,
            expires_at=expires_at,
            identity_ids=identity_ids,
        )
    await suspend_service(caller, service_id=global_id(Kind.SERVICE, service.id), reason="Invoice not paid")


async def _renewed(caller: Caller, email: str) -> Person:
    password = _password()
    try:
        user = await set_password(caller, email=email, password=password)
    except Refused:
        message = (
            "The demo data is not complete, since making it was interrupted: remove the data directory and try again."
        )
        raise DemoRefused(message) from None
    return Person(email, user.role, password)


def _password() -> Secret:
    return Secret(secrets.token_urlsafe(15))
