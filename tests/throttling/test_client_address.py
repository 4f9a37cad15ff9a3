"""Where a request comes from: what proxies of ours say is believed, what anybody else says is not."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from server.client_address import client_address
from tests.support.world import Play
from tests.throttling.tries import REFUSED, sign_in

PROXIES = tuple(ip_network(network) for network in ("10.0.0.0/8", "127.0.0.1/32", "fd00::/8"))


def request(peer: str | None, *forwarded_for: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded_for]
    return Request({"type": "http", "client": (peer, 50_000) if peer else None, "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        pytest.param("203.0.113.9", [], "203.0.113.9", id="no proxy"),
        pytest.param("203.0.113.9", ["198.51.100.7"], "203.0.113.9", id="a stranger's word"),
        pytest.param("10.0.0.1", ["198.51.100.7"], "198.51.100.7", id="a proxy's word"),
        pytest.param("10.0.0.1", ["192.0.2.1, 198.51.100.7"], "198.51.100.7", id="what a client invented"),
        pytest.param("10.0.0.1", ["10.9.9.9, 198.51.100.7"], "198.51.100.7", id="a proxy that a client invented"),
        pytest.param("10.0.0.1", ["192.0.2.1", "198.51.100.7"], "198.51.100.7", id="in two headers"),
        pytest.param("10.0.0.1", ["192.0.2.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7", id="two proxies"),
        pytest.param("10.0.0.1", ["198.51.100.7, 10.0.0.2, 10.0.0.3"], "198.51.100.7", id="three proxies"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy asks for itself"),
        pytest.param("10.0.0.1", ["10.0.0.2"], "10.0.0.2", id="a proxy asks through a proxy"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="nothing"),
        pytest.param("10.0.0.1", ["unknown"], "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", ["198.51.100.7, <script>"], "10.0.0.1", id="no address on the right"),
        pytest.param("10.0.0.1", ["<script>, 198.51.100.7"], "198.51.100.7", id="no address on the left"),
        pytest.param("10.0.0.1", ["2001:db8::7"], "2001:db8::7", id="IPv6"),
        pytest.param("10.0.0.1", ["2001:0DB8:0:0::7"], "2001:db8::7", id="IPv6 in another spelling"),
        pytest.param("fd00::1", ["198.51.100.7"], "198.51.100.7", id="a proxy with IPv6"),
        pytest.param("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7", id="IPv4 in the clothes of IPv6"),
        pytest.param("10.0.0.1", ["fe80::1%" + "x" * 100], "fe80::1", id="a zone"),
        pytest.param(None, ["198.51.100.7"], None, id="no peer"),
        pytest.param("a socket's path", ["198.51.100.7"], None, id="a peer without an address"),
    ],
)
def test_an_address_is_the_last_one_that_a_trusted_proxy_vouches_for(
    peer: str | None, forwarded_for: list[str], address: str | None
) -> None:
    assert client_address(request(peer, *forwarded_for), PROXIES) == address


def test_without_proxies_nobody_is_believed() -> None:
    assert client_address(request("127.0.0.1", "198.51.100.7"), ()) == "127.0.0.1"


@pytest.mark.usefixtures("quick_passwords")
class TestThrottling:
    def test_a_client_that_invents_addresses_is_throttled_all_the_same(self, play: Play) -> None:
        inventing = [play.nobody.sending(X_Forwarded_For=f"198.51.100.{number}") for number in range(9)]
        assert [sign_in(client, "wrong") for client in inventing] == [REFUSED] * 8 + [1]

    def test_a_client_behind_a_proxy_that_invents_addresses_is_throttled_all_the_same(self, proxied: Play) -> None:
        chains = [f"192.0.2.{number}, 198.51.100.7" for number in range(9)]
        inventing = [proxied.nobody.sending(X_Forwarded_For=chain) for chain in chains]
        assert [sign_in(client, "wrong") for client in inventing] == [REFUSED] * 8 + [1]

    def test_the_addresses_of_one_ipv6_network_are_one_source(self, proxied: Play) -> None:
        same_network = [proxied.nobody.sending(X_Forwarded_For=f"2001:db8:1:2::{number:x}") for number in range(9)]
        assert [sign_in(client, "wrong") for client in same_network] == [REFUSED] * 8 + [1]
        assert sign_in(proxied.nobody.sending(X_Forwarded_For="2001:db8:1:3::1"), "wrong") == REFUSED

    def test_an_ipv4_address_is_the_same_source_in_the_clothes_of_ipv6(self, proxied: Play) -> None:
        spellings = ["198.51.100.7", "::ffff:198.51.100.7", "::FFFF:c633:6407"]
        clients = [proxied.nobody.sending(X_Forwarded_For=spellings[number % 3]) for number in range(9)]
        assert [sign_in(client, "wrong") for client in clients] == [REFUSED] * 8 + [1]

    def test_the_audit_log_has_the_address_that_was_believed(self, proxied: Play) -> None:
        sign_in(proxied.nobody.sending(X_Forwarded_For="192.0.2.1, 198.51.100.7"), "wrong")
        document = """{ auditEvents(last: 1, filter: {types: ["sign_in.denied"]}) { nodes { sourceIp } } }"""
        assert proxied.operator.data(document)["nodes"] == [{"sourceIp": "198.51.100.7"}]
