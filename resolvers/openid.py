"""Who a token of the OpenID provider's stands for here."""

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from auth.bearer import is_active
from auth.openid import OpenIdProvider, OpenIdRefused, OpenIdRules
from auth.principal import Principal
from models.account import Account
from models.database import locked, transaction
from models.ids import Kind, new_id
from models.user import Role, User
from resolvers.audit import EventType, record
from resolvers.caller import Caller
from resolvers.errors import Refused
from resolvers.unique import taken_if_violated
from resolvers.validation import check_email, check_text, normal_email
from resolvers.webhook_announcements import announce_blocked


async def find_openid_principal(caller: Caller, provider: OpenIdProvider, claims: Mapping[str, Any]) -> Principal:
    """The principal of verified claims: a user known by issuer and subject, made on first sight where the rules say
    so, and given the role and API access that the claims name. Raises OpenIdRefused."""
    rules = provider.rules
    _check_subject(claims["sub"])
    user = await _known(rules, claims)
    if user is None:
        if not rules.create_users:
            raise OpenIdRefused("nobody here has this subject")
        user = await _create(caller, rules, claims)
    if not is_active(user):
        raise OpenIdRefused("this user is deactivated, or the account suspended")
    account_name = claims.get(rules.account_claim)
    if account_name is not None and (user.account is None or user.account.name != account_name):
        raise OpenIdRefused("the token names another account than the user's")
    return Principal.of_user(await _updated(caller, rules, user, claims))


async def _known(rules: OpenIdRules, claims: Mapping[str, Any]) -> User | None:
    query = User.get_or_none(oidc_issuer=rules.issuer, oidc_subject=claims["sub"])
    return await query.select_related("account")


async def _create(caller: Caller, rules: OpenIdRules, claims: Mapping[str, Any]) -> User:
    email = _email(rules, claims)
    account, role = await _place(rules, claims)
    try:
        with (
            taken_if_violated("users_email", "email", "Another user has this address."),
            taken_if_violated("users_oidc", "sub", "This subject is known."),
        ):
            async with transaction():
                user = await User.create(
                    id=new_id(caller.now),
                    account=account,
                    email=email,
                    display_name=_display_name(claims) or email[:200],
                    role=role,
                    api_access=_api_access(rules, claims) or False,
                    oidc_issuer=rules.issuer,
                    oidc_subject=claims["sub"],
                    created_at=caller.now,
                )
                summary = f"User {user.email} was created as {user.role}, by the OpenID provider"
                await _record(caller, user, EventType.USER_CREATED, summary)
    except Refused:
        # Somebody else's address, or the same subject twice at the same instant.
        known = await _known(rules, claims)
        if known is None:
            raise OpenIdRefused("another user has this e-mail address") from None
        return known
    return user


def _check_subject(subject: str) -> None:
    # At most 255 characters of ASCII (OpenID Connect Core 1.0, 2).
    if len(subject) > 255 or not subject.isascii() or not subject.isprintable():
        raise OpenIdRefused("the token's subject can't be kept")


def _email(rules: OpenIdRules, claims: Mapping[str, Any]) -> str:
    """The address that a new user is to have. One that the provider has not verified is only what somebody typed
    there: taken for true, it would show administrators a stranger under a colleague's address."""
    given = claims.get("email")
    email = normal_email(given) if isinstance(given, str) else ""
    if any(check_email(email)):
        raise OpenIdRefused("the token has no e-mail address")
    if rules.verified_email_only and claims.get("email_verified") is not True:
        raise OpenIdRefused("the provider has not verified the e-mail address")
    return email


async def _place(rules: OpenIdRules, claims: Mapping[str, Any]) -> tuple[Account | None, Role]:
    """The account and role of a new user: both, or no account and OPERATOR."""
    role, name = _role(rules, claims), claims.get(rules.account_claim)
    if role is Role.OPERATOR and name is None:
        if not rules.create_operators:
            raise OpenIdRefused("operators are not made by the provider's word here")
        return None, role
    if role in {None, Role.OPERATOR} or not isinstance(name, str) or any(check_text(name, rules.account_claim)):
        raise OpenIdRefused("the token's claims name no account and role here")
    account = await Account.get_or_none(name=name)
    if account is None:
        raise OpenIdRefused("the token's claims name no account and role here")
    return account, role


def _display_name(claims: Mapping[str, Any]) -> str | None:
    """The name, if it is one that could have been given here."""
    name = claims.get("name")
    return name[:200] if isinstance(name, str) and not any(check_text(name[:200], "name")) else None


async def _updated(caller: Caller, rules: OpenIdRules, user: User, claims: Mapping[str, Any]) -> User:
    """The user with what the claims say of role and API access; the provider is the authority on both."""
    role, api_access = _role(rules, claims), _api_access(rules, claims)
    role = user.role if role is None else role
    api_access = user.api_access if api_access is None else api_access
    if (role, api_access) == (user.role, user.api_access):
        return user
    if Role.OPERATOR in {role, user.role} and role is not user.role:
        raise OpenIdRefused("operators belong to no account: the role can't change to or from OPERATOR")
    async with transaction():
        row = await locked(User.filter(id=user.id)).get()
        before = copy(row)
        row.role, row.api_access = role, api_access
        await row.save(update_fields=["role", "api_access"])
        if row.account_id is not None:
            await announce_blocked(caller, row.account_id, "owner", before, row)
        access = "with" if api_access else "without"
        summary = f"User {user.email} is {role} {access} API access, says the OpenID provider"
        await _record(caller, user, EventType.USER_ROLE_SET, summary)
    await caller.deployment.memory.settle()
    user.role, user.api_access = role, api_access
    return user


def _role(rules: OpenIdRules, claims: Mapping[str, Any]) -> Role | None:
    value = claims.get(rules.role_claim)
    if value is None:
        return None
    try:
        role = Role(value)
    except ValueError:
        raise OpenIdRefused("the token names a role that does not exist") from None
    if role is Role.GATEWAY:
        raise OpenIdRefused("gateways are machines: they get a token here")
    return role


def _api_access(rules: OpenIdRules, claims: Mapping[str, Any]) -> bool | None:
    value = claims.get(rules.api_access_claim)
    return None if value is None else value is True


async def _record(caller: Caller, user: User, event_type: EventType, summary: str) -> None:
    await record(
        replace(caller, principal=None),
        event_type,
        summary,
        account_id=user.account_id,
        subject=(Kind.USER, user.id),
        actor_id=user.id,
    )
