"""Connections to PostgreSQL are encrypted as the address says, in libpq's words."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from models.database import DatabaseUnusable, connected, ping
from tests.support.command import error_of, run

# How a client of PostgreSQL's asks for TLS.
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """A certificate authority of one's own: writes `NAME.crt` and `NAME.key` into a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._key = directory, ec.generate_private_key(ec.SECP256R1())
        self.write("ca", self._key, x509.BasicConstraints(ca=True, path_length=None))

    def issue(self, name: str, address: str) -> None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        self.write(name, ec.generate_private_key(ec.SECP256R1()), names)

    def write(self, name: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> None:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(_named(name)).issuer_name(_named("ca"))
        builder = builder.public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=False)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        certificate = builder.sign(self._key, SHA256())
        (self._directory / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._directory / f"{name}.key").write_bytes(private)
        (self._directory / f"{name}.key").chmod(0o600)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    authority = Authority(directory)
    authority.issue("server", "127.0.0.1")
    authority.issue("elsewhere", "127.0.0.2")
    other = directory / "other"
    other.mkdir()
    Authority(other)
    return directory


class Gate:
    """In front of a PostgreSQL that was built without TLS: lets in who begins with a request for it, as PostgreSQL does
    with `hostssl` alone, and with `certified` only who shows a certificate of the authority's."""

    def __init__(self, server_port: int, certificates: Path, name: str, *, certified: bool = False) -> None:
        self._server_port = server_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates / f"{name}.crt", certificates / f"{name}.key")
        if certified:
            self._context.load_verify_locations(certificates / "ca.crt")
            self._context.verify_mode = ssl.CERT_REQUIRED
        self.spoken: list[str | None] = []
        """The version of TLS of each connection."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """The port that it is at."""
        server = await asyncio.start_server(self._let_in, "127.0.0.1")
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(self._context)
                self.spoken.append(writer.get_extra_info("ssl_object").version())
                there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
                await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()
    writer.close()


def used(database_url: str, gate: Gate, settings: str) -> list[str | None]:
    """The versions of TLS spoken by who uses the database through a gate."""

    async def use() -> None:
        whom, _, rest = database_url.rpartition("@")
        name = rest.partition("/")[2]
        async with gate.open() as port, connected(f"{whom}@127.0.0.1:{port}/{name}?{settings}", pool_size=1):
            await ping()

    gate.spoken.clear()
    asyncio.run(use())
    return gate.spoken


@pytest.mark.engine("postgres")
def test_a_connection_is_as_safe_as_the_address_says(database_url: str, certificates: Path) -> None:
    server_port = int(database_url.rpartition("@")[2].partition(":")[2].partition("/")[0])
    gate = Gate(server_port, certificates, "server")
    certified = Gate(server_port, certificates, "server", certified=True)
    of_another = Gate(server_port, certificates, "elsewhere")
    ca, other = f"sslrootcert={certificates}/ca.crt", f"sslrootcert={certificates}/other/ca.crt"
    shown = f"sslcert={certificates}/server.crt&sslkey={certificates}/server.key"
    for at, settings, version in (
        (gate, "sslmode=require", "TLSv1.3"),
        (gate, "sslmode=require&ssl_max_protocol_version=TLSv1.2", "TLSv1.2"),
        (gate, f"sslmode=verify-full&{ca}", "TLSv1.3"),
        (certified, f"sslmode=verify-full&{ca}&{shown}", "TLSv1.3"),
        (of_another, f"sslmode=verify-ca&{ca}", "TLSv1.3"),
    ):
        assert used(database_url, at, settings) == [version], settings
    for at, settings in (
        (gate, "sslmode=disable"),
        (gate, f"sslmode=verify-ca&{other}"),
        (certified, "sslmode=require"),
        (of_another, f"sslmode=verify-full&{ca}"),
    ):
        with pytest.raises(DatabaseUnusable):
            used(database_url, at, settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("bogus=1", "SEALKEY_DATABASE_URL has bogus after the ?, which is not known there: sslmode, sslrootcert, "),
        ("sslmode=require&sslrootcert=/none.crt", "SEALKEY_DATABASE_URL has sslrootcert=/none.crt, and no such file"),
        ("minsize=few", "SEALKEY_DATABASE_URL has a minsize that is no number."),
        ("sslmode=always", "The database at 127.0.0.1:1 can't be used: `sslmode` parameter must be one of: "),
    ],
)
def test_what_an_address_may_not_say_is_named(tmp_path: Path, settings: str, told: str) -> None:
    refused = error_of(run(tmp_path, "db", "upgrade", database_url=f"postgres://a:hunter2@127.0.0.1:1/b?{settings}"))
    assert refused.startswith(told)
    assert "hunter2" not in refused


@pytest.mark.parametrize("password", ["?hunter=2", "1?hunter=2&other=3"])
def test_nothing_of_a_password_that_is_not_encoded_is_told(tmp_path: Path, password: str) -> None:
    refused = error_of(run(tmp_path, "db", "upgrade", database_url=f"postgres://a:{password}@127.0.0.1:1/b"))
    assert refused.startswith("SEALKEY_DATABASE_URL can't be read: percent-encode")
