"""The rules that an account's credentials are generated under. They hold for new credentials only."""

from typing import Any

from auth.permissions import Permission
from auth.policy import Scope, authorize
from models.account import Account, DeliveryMethod
from models.database import transaction
from models.ids import Kind
from resolvers.audit import EventType, record
from resolvers.caller import Caller, PolicyBounds
from resolvers.errors import ErrorCode, Refusal, refuse
from resolvers.expiry import MAXIMUM_MONTHS
from resolvers.reach import lock
from resolvers.validation import refuse_if_any

LARGEST_RSA_KEY_BITS = 16_384
MOST_CREDENTIALS = 1000


async def update_credential_policy(caller: Caller, *, account_id: str, changes: dict[str, Any]) -> Account:
    """Changes what is named in `changes` (the fields of CredentialPolicy; None for months: never, or no bound) and
    leaves the rest. Raises Denied, and Refused (NOT_FOUND, INVALID, NOT_ALLOWED_BY_POLICY)."""
    scope = authorize(caller.principal, Permission.MANAGE_POLICY)
    async with transaction():
        account = await lock(Account, scope, account_id, "account_id")
        if not changes:
            raise refuse(ErrorCode.INVALID, "Say what should change.")
        _apply(account, changes)
        _check_sense(account, changes)
        _check_bounds(scope, account, caller.deployment.policy_bounds, changes)
        await account.save()
        await record(
            caller,
            EventType.POLICY_UPDATED,
            f"The credential policy was changed: {', '.join(sorted(changes))}",
            account_id=account.id,
            subject=(Kind.ACCOUNT, account.id),
        )
    return account


def keep_within(account: Account, bounds: PolicyBounds) -> None:
    """Gives a new account a policy that an administrator could have given it."""
    longest = bounds.maximum_expiry_months
    account.max_active_credentials_per_user = min(
        account.max_active_credentials_per_user, bounds.max_active_credentials_per_user
    )
    account.minimum_rsa_key_bits = max(account.minimum_rsa_key_bits, bounds.minimum_rsa_key_bits)
    if longest is not None:
        account.default_expiry_months = min(account.default_expiry_months or longest, longest)
        account.maximum_expiry_months = longest


def _apply(account: Account, changes: dict[str, Any]) -> None:
    columns = dict(changes)
    if "allowed_delivery_methods" in columns:
        methods = columns.pop("allowed_delivery_methods") or []
        account.view_and_copy_allowed = DeliveryMethod.VIEW_AND_COPY in methods
        account.encrypted_file_allowed = DeliveryMethod.ENCRYPTED_FILE in methods
    for name, value in columns.items():
        setattr(account, name, value)


def _check_sense(account: Account, changes: dict[str, Any]) -> None:
    """What makes no policy at all, whoever asks for it. Where two things do not go together, the one that was to be
    changed is at fault."""
    default, maximum = account.default_expiry_months, account.maximum_expiry_months
    months = f"Between 1 and {MAXIMUM_MONTHS} months, please."
    rules = [
        (
            0 <= (account.max_active_credentials_per_user or 0) <= MOST_CREDENTIALS,
            "max_active_credentials_per_user",
            f"Between 0 and {MOST_CREDENTIALS}, please.",
        ),
        (default is None or 1 <= default <= MAXIMUM_MONTHS, "default_expiry_months", months),
        (maximum is None or 1 <= maximum <= MAXIMUM_MONTHS, "maximum_expiry_months", months),
        (
            2048 <= (account.minimum_rsa_key_bits or 0) <= LARGEST_RSA_KEY_BITS,
            "minimum_rsa_key_bits",
            f"Between 2048 and {LARGEST_RSA_KEY_BITS} bits, please.",
        ),
        (bool(account.allowed_delivery_methods), "allowed_delivery_methods", "Allow at least one delivery method."),
    ]
    refuse_if_any(Refusal(ErrorCode.INVALID, message, (name,)) for holds, name, message in rules if not holds)
    by_default = "default_expiry_months"
    if default is None and not account.never_expires_allowed:
        message = "Credentials can't end never by default where never is not allowed."
        raise refuse(ErrorCode.INVALID, message, by_default if by_default in changes else "never_expires_allowed")
    if default is not None and maximum is not None and default > maximum:
        message = "The default is beyond the maximum."
        raise refuse(ErrorCode.INVALID, message, by_default if by_default in changes else "maximum_expiry_months")


def _check_bounds(scope: Scope, account: Account, bounds: PolicyBounds, changes: dict[str, Any]) -> None:
    """What an administrator may not go beyond, among what is changed."""
    if scope.account_id is None:
        return
    longest = bounds.maximum_expiry_months
    rules = {
        "max_active_credentials_per_user": account.max_active_credentials_per_user
        <= bounds.max_active_credentials_per_user,
        "never_expires_allowed": bounds.never_expires_allowed or not account.never_expires_allowed,
        "minimum_rsa_key_bits": account.minimum_rsa_key_bits >= bounds.minimum_rsa_key_bits,
        "default_expiry_months": _within(account.default_expiry_months, longest),
        "maximum_expiry_months": _within(account.maximum_expiry_months, longest),
    }
    message = "The provider does not allow this much: ask an operator."
    refuse_if_any(
        Refusal(ErrorCode.NOT_ALLOWED_BY_POLICY, message, (name,)) for name in changes if not rules.get(name, True)
    )


def _within(months: int | None, longest: int | None) -> bool:
    return longest is None or (months is not None and months <= longest)
