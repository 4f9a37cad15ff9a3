"""Where messages go, and where they never go: whatever a name means, and whenever it changes its meaning."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from resolvers.webhook_targets import Networks, Target, TargetRefused, check_url, find_target
from tests.plugins.play import StartPlay
from tests.support.receiver import Receiver, running_receiver
from tests.webhooks.conftest import ALLOWED, Hooks

NAME = "hooks.example"
URL = f"https://{NAME}/sealkey"
PUBLIC, PUBLIC_TOO = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"

# Whatever an attacker's name server says, nothing is sent there.
NOT_PUBLIC = {
    "loopback": "127.0.0.1",
    "loopback 6": "::1",
    "private 10": "10.1.2.3",
    "private 172": "172.16.0.1",
    "private 192": "192.168.1.1",
    "cloud metadata": "169.254.169.254",
    "cloud metadata 6": "fd00:ec2::254",
    "carriers' NAT, and a cloud's metadata": "100.100.100.200",
    "this host": "0.0.0.0",
    "this host 6": "::",
    "broadcast": "255.255.255.255",
    "multicast": "224.0.0.1",
    "multicast 6": "ff0e::1",
    "reserved": "240.0.0.1",
    "documentation": "192.0.2.1",
    "link-local 6": "fe80::1",
    "unique local 6": "fc00::1",
    "site-local 6": "fec0::1",
    "metadata, mapped": "::ffff:169.254.169.254",
    "loopback, mapped": "::ffff:127.0.0.1",
    "loopback, compatible": "::127.0.0.1",
    "metadata through NAT64": "64:ff9b::a9fe:a9fe",
    "private through NAT64": "64:ff9b::10.0.0.1",
    "local NAT64": "64:ff9b:1::a00:1",
    "private through 6to4": "2002:a00:1::1",
    "Teredo": "2001:0:a00:1::1",
}

Resolver = Callable[..., list[Any]]


@pytest.fixture
def meanings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Sequence[str]]:
    """What names mean; those that are not here, and addresses, mean what they mean elsewhere."""
    found: dict[str, Sequence[str]] = {}
    real: Resolver = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **named: Any) -> list[Any]:
        if host not in found:
            return real(host, port, *arguments, **named)
        return [entry for address in found[host] for entry in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return found


def target(url: str = URL, *allowed: str, attempt: int = 0) -> Target:
    return asyncio.run(find_target(url, networks(*allowed), attempt))


def networks(*allowed: str) -> Networks:
    return tuple(ip_network(network) for network in allowed)


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC)
def test_nothing_is_sent_to_what_is_not_public(meanings: dict[str, Sequence[str]], address: str) -> None:
    meanings[NAME] = [address]
    with pytest.raises(TargetRefused):
        target()
    meanings[NAME] = [PUBLIC, address]
    for attempt in range(2):
        with pytest.raises(TargetRefused):
            target(attempt=attempt)


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_as_soon_as_it_is_named(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(TargetRefused):
        check_url(f"https://{host}/", ())
    with pytest.raises(TargetRefused):
        target(f"https://{host}/")


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "localhost"])
def test_another_spelling_of_an_address_is_the_same_address(host: str) -> None:
    with pytest.raises(TargetRefused, match="no public address"):
        target(f"https://{host}/")


def test_a_public_name_is_connected_to_by_the_address_that_was_judged(meanings: dict[str, Sequence[str]]) -> None:
    meanings[NAME] = [PUBLIC]
    assert target() == Target(f"https://{PUBLIC}:443/sealkey", NAME, NAME)
    assert target(f"https://{NAME}:8443/a?b=c") == Target(f"https://{PUBLIC}:8443/a?b=c", f"{NAME}:8443", NAME)
    assert target(f"https://{NAME}?b") == Target(f"https://{PUBLIC}:443/?b", NAME, NAME)
    meanings[NAME] = [PUBLIC_TOO]
    assert target().url == f"https://[{PUBLIC_TOO}]:443/sealkey"
    assert target(f"https://[{PUBLIC_TOO}]/").server_name == PUBLIC_TOO


def test_each_try_takes_the_next_of_several_addresses(meanings: dict[str, Sequence[str]]) -> None:
    meanings[NAME] = [PUBLIC, PUBLIC_TOO]
    hosts = [target(attempt=attempt).url for attempt in range(3)]
    assert hosts == [f"https://{host}:443/sealkey" for host in (PUBLIC, f"[{PUBLIC_TOO}]", PUBLIC)]


def test_a_public_address_by_way_of_nat64_is_taken_for_what_it_is(meanings: dict[str, Sequence[str]]) -> None:
    meanings[NAME] = [f"64:ff9b::{PUBLIC}", f"::ffff:{PUBLIC}"]
    assert target().url == f"https://{PUBLIC}:443/sealkey"


def test_networks_that_the_deployment_allows_may_be_sent_to_without_tls_too(
    meanings: dict[str, Sequence[str]],
) -> None:
    meanings[NAME] = ["10.1.2.3"]
    assert target(URL, "10.1.0.0/16").url == "https://10.1.2.3:443/sealkey"
    assert target(f"http://{NAME}/", "10.1.0.0/16").url == "http://10.1.2.3:80/"
    with pytest.raises(TargetRefused, match="public"):
        target(URL, "10.2.0.0/16")
    meanings[NAME] = ["10.1.2.3", PUBLIC]
    assert target(URL, "10.1.0.0/16", attempt=1).url == f"https://{PUBLIC}:443/sealkey"
    with pytest.raises(TargetRefused, match="https"):
        target(f"http://{NAME}/", "10.1.0.0/16", attempt=1)


def test_without_tls_nothing_is_sent_to_a_public_address(meanings: dict[str, Sequence[str]]) -> None:
    meanings[NAME] = [PUBLIC]
    for allowed in ((), ("10.0.0.0/8",)):
        with pytest.raises(TargetRefused, match="https"):
            target(f"http://{NAME}/", *allowed)


def test_a_name_that_does_not_exist_and_one_of_the_inner_network_are_told_the_same(
    meanings: dict[str, Sequence[str]],
) -> None:
    meanings["vault.internal"], meanings["nothing.internal"] = ["10.0.0.1"], []
    told = []
    for host in ("vault.internal", "nothing.internal", "missing.invalid"):
        with pytest.raises(TargetRefused) as refused:
            target(f"https://{host}/")
        told.append(str(refused.value))
    assert len(set(told)) == 1


MALFORMED = [
    "",
    "hooks.example",
    "//hooks.example/",
    "https:///sealkey",
    "https:hooks.example",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "gopher://hooks.example/",
    "https://user@hooks.example/",
    "https://user:password@hooks.example/",
    "https://:password@hooks.example/",
    "https://@hooks.example/",
    "https://hooks.example@127.0.0.1/",
    "https://hooks.example\\@127.0.0.1/",
    "https://hooks.example#@127.0.0.1/",
    "https://hooks.example/#fragment",
    "https://hooks.example:0/",
    "https://hooks.example:65536/",
    "https://hooks.example:99999999/",
    "https://hooks.example:443a/",
    "https://hooks.example:/",
    "https://hooks.example:-1/",
    "https://hooks..example/",
    "https://.hooks.example/",
    "https://hooks.example./",
    "https://-hooks.example/",
    f"https://{'a' * 64}.example/",
    f"https://{'a.' * 130}example/",
    "https://hooks.example/ sealkey",
    "https://hooks.example/\r\nX-Injected: 1",
    "https://hooks.example\r\n/",
    "https://hooks.example/%zz",
    "https://hooks.example/%",
    "https://hooks.example/\x00",
    "https://hooks.exämple/",
    "https://hooks。example/",
    "https://ⓗooks.example/",
    "https://[::1/",
    "https://[hooks.example]/",
    "https://[fe80::1%25eth0]/",
    f"https://{NAME}/{'a' * 2000}",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_no_plain_address_of_a_web_server_is_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        check_url(url, networks("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example",
        "https://xn--exmple-cua.example/",
        "https://hooks.example:8443/a/b;c=d/%C3%A4?x=y&z=%20#"[:-1],
        "https://my_service.example/",
        f"https://{PUBLIC}/",
        f"https://[{PUBLIC_TOO}]:8443/",
    ],
)
def test_plain_addresses_are_taken(url: str) -> None:
    check_url(url, ())


def test_plain_http_is_refused_where_no_network_is_allowed() -> None:
    with pytest.raises(TargetRefused, match="https"):
        check_url("http://hooks.example/", ())
    check_url("http://hooks.example/", networks("10.0.0.0/8"))


# ---------------------------------------------------------------- over the wire


def certificate(directory: Path, name: str) -> Path:
    """A certificate of a name, which vouches for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )
    path = directory / f"{name}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


@pytest.fixture
def tls_receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver with a certificate for NAME, which the server trusts."""
    path = certificate(tmp_path, NAME)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    trust = ssl.create_default_context(cafile=path)
    monkeypatch.setattr("resolvers.webhook_delivery._trust", lambda: trust)
    with running_receiver(tls) as receiver:
        yield receiver


@pytest.fixture
def secure_hooks(by_hand: None, start_play: StartPlay, tls_receiver: Receiver) -> Hooks:
    return Hooks(start_play(**ALLOWED), tls_receiver)


def test_over_tls_the_certificate_must_be_of_the_name_though_an_address_is_connected_to(
    secure_hooks: Hooks, meanings: dict[str, Sequence[str]]
) -> None:
    meanings[NAME] = meanings["other.example"] = ["127.0.0.1"]
    receiver = secure_hooks.receiver
    right = secure_hooks.subscribe(url=receiver.url("/0", NAME))
    wrong = secure_hooks.subscribe(url=receiver.url("/1", "other.example"))
    secure_hooks.play.generate("ci")
    (message,) = secure_hooks.messages()

    assert (message.path, message.headers["host"]) == (right.path, f"{NAME}:{receiver.port}")
    told = ["credential.generated to other.example, attempt 1: ConnectError"]
    assert secure_hooks.audit(wrong, "webhook.failed") == told


def test_a_name_that_changes_its_meaning_after_it_was_judged_leads_nowhere_else(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real: Resolver = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **named: Any) -> list[Any]:
        if host == NAME:
            asked.append(host)
            # The receiver listens at the first of these and not at the second.
            host = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return real(host, port, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    hooks.subscribe(url=hooks.receiver.url("/0", NAME))
    hooks.play.generate("ci")

    assert len(hooks.messages()) == 1
    assert asked == [NAME]


def test_nothing_reaches_this_machine_where_it_was_not_allowed(
    by_hand: None, start_play: StartPlay, receiver: Receiver, meanings: dict[str, Sequence[str]]
) -> None:
    meanings[NAME] = ["127.0.0.1"]
    hooks = Hooks(start_play(), receiver)
    url = f"https://{NAME}:{receiver.port}/0"
    endpoint = hooks.subscribe(url=url)
    hooks.play.generate("ci")

    assert hooks.messages() == []
    told = f"credential.generated to {NAME}, attempt 1: not sent, it has no public address"
    assert hooks.audit(endpoint, "webhook.failed") == [told]


def test_plain_http_to_what_was_not_allowed_is_not_sent(hooks: Hooks, meanings: dict[str, Sequence[str]]) -> None:
    meanings[NAME] = [PUBLIC]
    endpoint = hooks.subscribe(url=f"http://{NAME}/0")
    hooks.play.generate("ci")

    assert hooks.messages() == []
    told = f"credential.generated to {NAME}, attempt 1: not sent, it does not begin with https"
    assert hooks.audit(endpoint, "webhook.failed") == [told]


def test_a_proxy_of_the_machine_is_not_asked_to_send_where_we_would_not(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks.subscribe()
    hooks.play.generate("ci")
    with running_receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        assert len(hooks.messages()) == 1
        assert proxy.take() == []
