"""Settings: from the environment as SEALKEY_*, or from the TOML file that SEALKEY_CONFIG_FILE names; the environment
wins."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


class SettingsUnusable(Exception):
    """A setting is wrong; the message names it and says why, without its value, which may be a secret."""


class Settings(BaseSettings):
    """Each field is a setting: `data_dir` is SEALKEY_DATA_DIR in the environment, `data_dir = "…"` in the file."""

    model_config = SettingsConfigDict(env_prefix="SEALKEY_", extra="forbid", frozen=True)

    data_dir: Path = Path("var")
    """Where the SQLite database and the server's keys are, unless told otherwise."""
    database_url: SecretStr = SecretStr("")
    """sqlite://path or postgres://user:password@host:port/database; empty: SQLite in the data directory."""
    keys_file: Path | None = None
    """The server's keys; left out: server-keys.json in the data directory, made on first start."""
    keys: SecretStr | None = None
    """The content of such a file, for deployments that keep secrets in the environment."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    database_pool_size: Annotated[int, Field(ge=2, le=200)] = 10
    """PostgreSQL connections of one worker."""
    issuer: Annotated[str, Field(pattern=r"^(https?://[^\s?#]+[^\s?#/])?$")] = ""
    """The public address, as access tokens name their issuer; empty: http:// and the address listened on."""
    key_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$")] = "sealkey"
    """What new keys and secrets begin with."""
    access_token_seconds: Annotated[int, Field(ge=30, le=86_400)] = 600
    session_hours: Annotated[int, Field(ge=1, le=720)] = 12
    invitation_days: Annotated[int, Field(ge=1, le=90)] = 7

    @property
    def database(self) -> str:
        """The database's URL. It may hold a password."""
        return self.database_url.get_secret_value() or f"sqlite://{self.data_dir / 'sealkey.sqlite3'}"

    @property
    def address(self) -> str:
        """Where the server listens, as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def access_token_lifetime(self) -> timedelta:
        return timedelta(seconds=self.access_token_seconds)

    @property
    def session_lifetime(self) -> timedelta:
        return timedelta(hours=self.session_hours)

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
        file = os.environ.get("SEALKEY_CONFIG_FILE")
        from_file = (TomlConfigSettingsSource(settings_cls, Path(file)),) if file else ()
        return (init_settings, env_settings, *from_file)


def load_settings(**overrides: object) -> Settings:
    """The settings, with those given on the command line on top. Raises SettingsUnusable."""
    file = os.environ.get("SEALKEY_CONFIG_FILE")
    if file and not Path(file).is_file():
        raise SettingsUnusable(f"SEALKEY_CONFIG_FILE names {file}, which is not there.")
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [f"SEALKEY_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()]
        raise SettingsUnusable("; ".join(wrong)) from None
    except ValueError:
        raise SettingsUnusable(f"{file} is not a TOML file.") from None
    if not settings.database.startswith(("sqlite://", "postgres://")):
        raise SettingsUnusable("SEALKEY_DATABASE_URL must begin with sqlite:// or postgres://.")
    return settings
