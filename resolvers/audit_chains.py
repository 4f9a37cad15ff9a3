"""What people call the audit chains: an account's by its id or name, and the deployment's own."""

from uuid import UUID

from models.account import Account
from models.audit import DEPLOYMENT_CHAIN
from models.ids import Kind, global_id, row_id

DEPLOYMENT = "deployment"


class NoSuchChain(Exception):
    """There is no account of this id or name."""

    def __init__(self) -> None:
        super().__init__("There is no account of this id or name; `deployment` is the log of what belongs to none.")


def chain_name(chain_id: str) -> str:
    """The account's id as clients see it, or `deployment`; a chain that is neither's, as it is."""
    if chain_id == str(DEPLOYMENT_CHAIN):
        return DEPLOYMENT
    try:
        return global_id(Kind.ACCOUNT, UUID(chain_id))
    except ValueError:
        return chain_id


def chain_of_name(name: str) -> str | None:
    """The chain that `chain_name` calls so."""
    if name == DEPLOYMENT:
        return str(DEPLOYMENT_CHAIN)
    id_ = row_id(Kind.ACCOUNT, name)
    return str(id_) if id_ else None


async def find_chain(text: str) -> str:
    """The chain of an account that is named by its id or its name, or `deployment`. Raises NoSuchChain."""
    chain_id = chain_of_name(text)
    if chain_id is None:
        account = await Account.get_or_none(name=text)
        chain_id = str(account.id) if account else None
    if chain_id is None:
        raise NoSuchChain
    return chain_id
