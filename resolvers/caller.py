"""What every use case is given first: who asks, from where, at what instant, and of which deployment."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from auth.bearer import SessionRules
from auth.crypto.keyring import Keyring
from auth.principal import Principal
from models.instants import Clock
from resolvers.check_memory import CheckMemory
from resolvers.counts import Counts
from resolvers.rehashing import Rehashing
from resolvers.usage import UsageCounter
from resolvers.watching import Watches
from resolvers.webhook_targets import Networks


@dataclass(frozen=True)
class PolicyBounds:
    """How far an administrator may go with an account's policy; operators may go further, up to what Sealkey can do.
    None: as far as operators."""

    max_active_credentials_per_user: int
    maximum_expiry_months: int | None
    never_expires_allowed: bool
    minimum_rsa_key_bits: int


class ServerKeys(Protocol):
    """The server's own keys, which may become more while it runs."""

    @property
    def keyring(self) -> Keyring:
        """As this process has them now."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with the keys that there are now, so that a process that starts would not take them; None:
        nothing."""

    async def confirm(self, caller: "Caller", *, some_lost: bool = False, remembers: bool = True) -> None:
        """Compares them with what the database knows, of which some may be lost, and has it remember those that are
        new. Raises KeyringUnreadable."""

    async def follow(self, caller: "Caller") -> None:
        """Looks whether there are others. Raises KeyringUnreadable, once for each thing that is wrong."""


@dataclass(frozen=True, eq=False)
class Deployment:
    """What is the same for every call: the server's keys and clock, and the settings that use cases need."""

    keys: ServerKeys
    clock: Clock
    issuer: str
    key_prefix: str
    access_token_lifetime: timedelta
    session_rules: SessionRules
    invitation_lifetime: timedelta
    policy_bounds: PolicyBounds
    webhook_allowed_networks: Networks = ()
    usage: UsageCounter = field(default_factory=UsageCounter)
    memory: CheckMemory = field(default_factory=CheckMemory)
    rehashing: Rehashing = field(default_factory=Rehashing)
    watches: Watches = field(default_factory=Watches)
    counts: Counts = field(default_factory=Counts)
    keys_wanted: set[str] = field(default_factory=set)
    """The ids of keys of the server's that this process was asked for and did not have."""

    @property
    def keyring(self) -> Keyring:
        return self.keys.keyring

    @property
    def lacks_keys(self) -> bool:
        """Whether something was shown that was made under a key which this process has not been given yet."""
        return any(not self.keyring.knows(key_id) for key_id in self.keys_wanted)


@dataclass(frozen=True)
class Caller:
    """One call. `now` is read once, so that everything in one answer agrees on the time."""

    principal: Principal | None
    source_ip: str | None
    now: datetime
    deployment: Deployment
    why_nobody: str | None = None
    """To be told where somebody is needed: what is wrong with what was shown; None where nothing was."""
