"""Settings: from the environment as SEALKEY_*, or from the TOML file that SEALKEY_CONFIG_FILE names; the environment
wins."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from auth.bearer import SessionRules
from auth.crypto.key_sealing import (
    SHORTEST_PASSPHRASE,
    ByCommand,
    Sealing,
    UnderPassphrase,
    UnderPassphraseIn,
    Unsealed,
)
from auth.crypto.keyring import KeyringUnreadable
from auth.crypto.secret import Secret
from auth.openid import ALGORITHMS, OpenIdRules
from models.database import file_of
from resolvers.caller import PolicyBounds
from resolvers.watching import WatchLimits
from schema.budget import Allowance
from schema.limits import Limits
from server.gate import Bounds
from server.secret_files import is_careless

CONFIG_FILE = "SEALKEY_CONFIG_FILE"
"""Where the environment says which file settings are in."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine, between whose programs nobody sits."""


_NETWORKS = frozenset({"webhook_allowed_networks", "trusted_proxies"})


_POSTGRES_PLACE = re.compile(r"postgres://([^@/?#]*@)?(?P<place>[^@?#]+)(\?[^@]*)?")


_SHORTEST_TOKEN = 16
_WRITTEN = {
    "issuer": "This is written as https://sealkey.example, without user, query and a slash at the end",
    "oidc_issuer": "This is written as https://id.example, without query and fragment",
    "key_prefix": "This is a letter, then up to 15 of a-z and 0-9, as in acme",
    **dict.fromkeys(_NETWORKS, 'Networks are written without host bits, as ["10.0.0.0/8"]'),
}


def _long_enough(token: SecretStr) -> SecretStr:
    if 0 < len(token) < _SHORTEST_TOKEN:
        raise ValueError(f"A token has {_SHORTEST_TOKEN} characters at least; `openssl rand -hex 16` makes one")
    return token


def _not_empty(path: object) -> object:
    if path == "":
        raise ValueError("This is empty, which names nothing: name a place, or leave the setting out")
    return path


def _with_a_port_that_can_be(url: str) -> str:
    if urlsplit(url).port == 0:  # which raises ValueError beyond 65535
        raise ValueError
    return url


_Place = Annotated[Path, BeforeValidator(_not_empty)]


class SettingsUnusable(Exception):
    """A setting is wrong; the message names it and says why, without its value, which may be a secret."""


class Settings(BaseSettings):
    """Each field is a setting: `data_dir` is SEALKEY_DATA_DIR in the environment, `data_dir = "…"` in the file."""

    model_config = SettingsConfigDict(env_prefix="SEALKEY_", extra="forbid", frozen=True)

    data_dir: _Place = Path("var")
    """Where the SQLite database and the server's keys are, unless told otherwise."""
    database_url: SecretStr = SecretStr("")
    """sqlite://path or postgres://user:password@host:port/database; empty: SQLite in the data directory."""
    keys_file: _Place | None = None
    """The server's keys; left out: server-keys.json in the data directory, made on first start."""
    keys: SecretStr | None = None
    """The content of such a file, for deployments that keep secrets in the environment."""
    keys_passphrase: SecretStr | None = None
    """What the key file is sealed under; left out: it is not, or is as the next ones say."""
    keys_passphrase_file: _Place | None = None
    """The file that the passphrase is in."""
    keys_unseal_command: str = ""
    """What opens the key file: sealed on standard input, open on standard output; no shell reads it."""
    keys_seal_command: str = ""
    """The other way round, for writing it."""
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    database_pool_size: Annotated[int, Field(ge=2, le=200)] = 10
    """PostgreSQL connections of one worker."""
    sqlite_check_seconds: Annotated[float, Field(ge=0, le=3600)] = 5
    """How long `serve` looks for damage in a SQLite database before it starts."""
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 5
    """Told to stop, how long the server still takes requests while /readyz says that it stops."""
    shutdown_seconds: Annotated[int, Field(ge=1, le=300)] = 10
    """And how long it then waits for what it has begun, and again for what is written down last."""
    metrics_token: Annotated[SecretStr, AfterValidator(_long_enough)] = SecretStr("")
    """What /metrics is shown to; empty: to nobody."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    """For machines, or for people at a terminal."""
    operations_at_once: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Of one worker: what it works on at once. What comes beyond this waits; and what comes beyond that is refused."""
    operations_waiting: Annotated[int, Field(ge=0, le=100_000)] = 256
    operation_wait_seconds: Annotated[float, Field(ge=0.05, le=60)] = 2
    """What has waited for so long is refused."""
    issuer: Annotated[
        str, Field(pattern=r"^(https?://[^\s?#@/]+(/[^\s?#]*[^\s?#/])?)?$"), AfterValidator(_with_a_port_that_can_be)
    ] = ""
    """The public address, as access tokens name their issuer; empty: http:// and the address listened on."""
    key_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$")] = "sealkey"
    """What new keys and secrets begin with."""
    access_token_seconds: Annotated[int, Field(ge=30, le=86_400)] = 600
    session_hours: Annotated[int, Field(ge=1, le=720)] = 12
    session_idle_minutes: Annotated[int, Field(ge=5, le=43_200)] = 120
    """A session that is not used for so long ends."""
    policy_max_active_credentials: Annotated[int, Field(ge=0, le=1000)] = 20
    """Of an account's credential policy: how far its administrators may go. So are the next three."""
    policy_maximum_expiry_months: Annotated[int | None, Field(ge=1, le=1200)] = None
    policy_never_expires_allowed: bool = False
    policy_minimum_rsa_key_bits: Annotated[int, Field(ge=2048, le=16384)] = 2048
    usage_flush_seconds: Annotated[int, Field(ge=1, le=300)] = 5
    """How often what was counted of checks is written down, under load at least once a minute: what a killed process
    loses at most."""
    notifications: bool = True
    """Whether processes tell each other of changes at once, not only within the second in which each asks."""
    webhook_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that webhooks may be sent to although they are not public, also by plain http, as a JSON list."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks whose X-Forwarded-For and X-Request-Id are believed, as a JSON list: ["10.0.0.0/8"]."""
    oidc_issuer: Annotated[str, Field(pattern=r"^(https?://[^\s?#]+)?$")] = ""
    """An OpenID provider whose tokens sign users in; empty: none."""
    oidc_audience: str = ""
    """The audience that its tokens must name: this server's client id there."""
    oidc_algorithms: Annotated[tuple[str, ...], Field(min_length=1)] = ("RS256", "ES256")
    oidc_account_claim: str = "sealkey_account"
    """The claim with the account's name; of operators there is none."""
    oidc_role_claim: str = "sealkey_role"
    oidc_api_access_claim: str = "sealkey_api_access"
    oidc_create_users: bool = False
    """Whether users unknown here are made on first sight, where the claims name an account and a role."""
    oidc_verified_email_only: bool = True
    """Whether that takes email_verified; false for a provider without it where nobody chooses an address."""
    oidc_create_operators: bool = False
    """Whether users made on first sight may be operators, who manage every account."""
    invitation_days: Annotated[int, Field(ge=1, le=90)] = 7
    graphql_tokens: Annotated[int, Field(ge=200, le=10_000)] = 1000
    """Of a document: how large it may be. So are the next five."""
    graphql_depth: Annotated[int, Field(ge=1, le=100)] = 12
    graphql_aliases: Annotated[int, Field(ge=0, le=1000)] = 30
    graphql_directives: Annotated[int, Field(ge=0, le=1000)] = 50
    graphql_repetitions: Annotated[int, Field(ge=0, le=1000)] = 50
    graphql_root_fields: Annotated[int, Field(ge=1, le=1000)] = 20
    graphql_cost: Annotated[int, Field(ge=1, le=1_000_000_000)] = 50_000
    """Of an operation: the values that its answer can hold at most."""
    graphql_budget: Annotated[int, Field(ge=0, le=1_000_000_000)] = 1_000_000
    """What all operations of one user, or of one address where nobody is signed in, may cost in each window; 0: as much
    as they like."""
    graphql_budget_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60

    graphql_persisted_queries: bool = True
    """Whether clients may send a document once and its hash from then on."""
    graphql_trusted_documents: Annotated[Path | None, BeforeValidator(lambda path: path or None)] = None
    """A list of documents, as tools that build clients write it; nothing else is then executed."""
    graphql_strict_status: bool = False
    """Whether GraphQL's answers have the statuses of GraphQL over HTTP of September 2026."""

    @property
    def graphql_limits(self) -> Limits:
        return Limits(
            tokens=self.graphql_tokens,
            depth=self.graphql_depth,
            aliases=self.graphql_aliases,
            directives=self.graphql_directives,
            repetitions=self.graphql_repetitions,
            root_fields=self.graphql_root_fields,
            cost=self.graphql_cost,
        )

    @property
    def graphql_allowance(self) -> Allowance:
        return Allowance(self.graphql_budget, self.graphql_budget_seconds)

    subscriptions_per_worker: Annotated[int, Field(ge=0, le=10_000)] = 2_000
    subscriptions_per_user: Annotated[int, Field(ge=1, le=10_000)] = 50
    """At one worker. So is the next, of one WebSocket."""
    subscriptions_per_connection: Annotated[int, Field(ge=1, le=1000)] = 20
    subscription_queue: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Changes that may wait for one subscription; it ends when there are more."""
    subscription_init_seconds: Annotated[float, Field(ge=0.1, le=60)] = 10
    """How long a WebSocket may take until it says who it is."""
    subscription_keep_alive_seconds: Annotated[float, Field(ge=0.1, le=300)] = 15
    """How often an event stream with nothing to tell says that it is there."""

    @property
    def watch_limits(self) -> WatchLimits:
        return WatchLimits(self.subscriptions_per_worker, self.subscriptions_per_user, self.subscription_queue)

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.operations_at_once, self.operations_waiting, self.operation_wait_seconds)

    @property
    def database(self) -> str:
        """The database's URL. It may hold a password."""
        url = self.database_url.get_secret_value() or f"sqlite://{self.data_dir / 'sealkey.sqlite3'}"
        return re.sub(r"^postgresql://", "postgres://", url)  # libpq knows both

    @property
    def database_shown(self) -> str:
        """Which database it is, for people: without user, password and options."""
        if self.database.startswith("sqlite:"):
            return f"sqlite://{Path(file_of(self.database) or '').absolute()}"
        shown = _POSTGRES_PLACE.fullmatch(self.database)
        return f"postgres://{shown['place']}" if shown else "the PostgreSQL database"

    @property
    def keys_path(self) -> Path:
        """The file that the server's keys are in, unless they are given as they are."""
        return self.keys_file or self.data_dir / "server-keys.json"

    @property
    def key_sealing(self) -> Sealing:
        """How the key file is sealed. Raises SettingsUnusable."""
        if self.keys_unseal_command:
            return ByCommand(self.keys_unseal_command, self.keys_seal_command)
        if self.keys_passphrase_file:
            return under_passphrase(self.keys_passphrase_file)
        if self.keys_passphrase:
            return _under(self.keys_passphrase.get_secret_value())
        return Unsealed()

    @property
    def address(self) -> str:
        """Where the server listens, as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def public_address(self) -> str:
        """Where clients reach the server, as access tokens name their issuer."""
        return self.issuer or self.address

    @property
    def access_token_lifetime(self) -> timedelta:
        return timedelta(seconds=self.access_token_seconds)

    @property
    def session_rules(self) -> SessionRules:
        return SessionRules(timedelta(hours=self.session_hours), timedelta(minutes=self.session_idle_minutes))

    @property
    def openid_rules(self) -> OpenIdRules | None:
        if not self.oidc_issuer:
            return None
        return OpenIdRules(
            issuer=self.oidc_issuer,
            audience=self.oidc_audience,
            algorithms=self.oidc_algorithms,
            account_claim=self.oidc_account_claim,
            role_claim=self.oidc_role_claim,
            api_access_claim=self.oidc_api_access_claim,
            create_users=self.oidc_create_users,
            create_operators=self.oidc_create_operators,
            verified_email_only=self.oidc_verified_email_only,
        )

    @property
    def policy_bounds(self) -> PolicyBounds:
        return PolicyBounds(
            max_active_credentials_per_user=self.policy_max_active_credentials,
            maximum_expiry_months=self.policy_maximum_expiry_months,
            never_expires_allowed=self.policy_never_expires_allowed,
            minimum_rsa_key_bits=self.policy_minimum_rsa_key_bits,
        )

    @property
    def invitation_lifetime(self) -> timedelta:
        return timedelta(days=self.invitation_days)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get(CONFIG_FILE)
        from_file = (TomlConfigSettingsSource(settings_cls, Path(file)),) if file else ()
        return (init_settings, env_settings, *from_file)


def load_settings(**overrides: object) -> Settings:
    """The settings, with those given on the command line on top. Raises SettingsUnusable."""
    file = os.environ.get(CONFIG_FILE)
    if file and not Path(file).is_file():
        raise SettingsUnusable(f"SEALKEY_CONFIG_FILE names {file}, which is not there.")
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        names = [(str(each["loc"][0]), each["type"], each["msg"]) for each in error.errors()]
        wrong = dict.fromkeys(f"{_place(name, given, file)}: {_what(name, kind, told)}" for name, kind, told in names)
        raise SettingsUnusable("; ".join(wrong)) from None
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = f"SEALKEY_{field[1].upper()}" if field else "A setting"
        raise SettingsUnusable(f'{name}: a list is written in JSON, as ["first", "second"].') from None
    except ValueError as error:
        line = re.search(r"\(at (line \d+)", str(error))
        raise SettingsUnusable(f"{file} is not a TOML file{f': look at {line[1]}' if line else ''}.") from None
    if not settings.database.startswith(("sqlite://", "postgres://")):
        raise SettingsUnusable("SEALKEY_DATABASE_URL must begin with sqlite:// or postgres://.")
    if 0 < settings.graphql_budget < settings.graphql_cost:
        raise SettingsUnusable("SEALKEY_GRAPHQL_BUDGET must not be less than SEALKEY_GRAPHQL_COST, or 0 for no budget.")
    _check_key_sealing(settings)
    _check_trusted_documents(settings.graphql_trusted_documents)
    _check_openid(settings)
    return settings


def _place(name: str, given: Mapping[str, object], file: str | None) -> str:
    """Where a setting was read that is wrong: on the command line, in the environment or in the file."""
    variable = f"SEALKEY_{name.upper()}"
    if name in given:
        return f"--{name.replace('_', '-')}"
    return variable if variable in {each.upper() for each in os.environ} else f"{file}: {name}"


def _what(name: str, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "There is no such setting"
    return _WRITTEN.get(name, message.removeprefix("Value error, "))


def under_passphrase(path: Path) -> UnderPassphraseIn:
    """Sealing under the passphrase that is in a file. Raises SettingsUnusable where there is none now."""
    sealing = UnderPassphraseIn(path)
    try:
        if is_careless(path):
            raise SettingsUnusable(f"{path}: others can read it; make it yours alone: chmod 600 {path}")
        sealing.now()
    except OSError as error:
        raise SettingsUnusable(f"The passphrase can't be read from {path}: {error.strerror}.") from None
    except KeyringUnreadable as error:
        raise SettingsUnusable(f"The {str(error).removeprefix('the ')}.") from None
    return sealing


def _under(passphrase: str) -> UnderPassphrase:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise SettingsUnusable(f"SEALKEY_KEYS_PASSPHRASE: a passphrase has {SHORTEST_PASSPHRASE} characters at least.")
    return UnderPassphrase(Secret(passphrase))


def _check_key_sealing(settings: Settings) -> None:
    ways = (settings.keys_passphrase, settings.keys_passphrase_file, settings.keys_unseal_command)
    if sum(map(bool, ways)) > 1:
        raise SettingsUnusable(
            "Of SEALKEY_KEYS_PASSPHRASE, SEALKEY_KEYS_PASSPHRASE_FILE and SEALKEY_KEYS_UNSEAL_COMMAND set one."
        )
    if settings.keys_seal_command and not settings.keys_unseal_command:
        raise SettingsUnusable("SEALKEY_KEYS_SEAL_COMMAND is set: SEALKEY_KEYS_UNSEAL_COMMAND must be too.")
    _ = settings.key_sealing


def _check_trusted_documents(path: Path | None) -> None:
    if path and not path.is_file():
        raise SettingsUnusable(f"SEALKEY_GRAPHQL_TRUSTED_DOCUMENTS names {path}, where there is no file.")


def _check_openid(settings: Settings) -> None:
    if not settings.oidc_issuer:
        return
    if not settings.oidc_audience:
        raise SettingsUnusable("SEALKEY_OIDC_ISSUER is set: SEALKEY_OIDC_AUDIENCE must be too.")
    if settings.oidc_issuer == settings.public_address:
        # An API credential's access token must never manage credentials.
        raise SettingsUnusable("SEALKEY_OIDC_ISSUER must not be this server, as SEALKEY_ISSUER or its address has it.")
    if not settings.oidc_issuer.startswith("https:") and urlsplit(settings.oidc_issuer).hostname not in LOOPBACK:
        # Whoever sat on the way could hand over keys of their own, and sign in as anybody.
        raise SettingsUnusable("SEALKEY_OIDC_ISSUER must begin with https://, but for a provider on this machine.")
    if unusable := set(settings.oidc_algorithms) - set(ALGORITHMS):
        names = ", ".join(sorted(unusable))
        raise SettingsUnusable(f"SEALKEY_OIDC_ALGORITHMS: {names} can't be used; choose from {', '.join(ALGORITHMS)}.")
