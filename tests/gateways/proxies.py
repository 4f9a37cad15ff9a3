"""The proxies, each run with the configuration that docs/gateways.md has for it: addresses and token are put in, and
around it stands what belongs to the machine, such as where logs go."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.docs.markdown import blocks, page, section
from tests.support.processes import free_port

# Where a package for this Python puts a program, and where Debian puts nginx.
_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin"])
_TOKEN = "sealkey_gateway_…"


@dataclass(frozen=True)
class Addresses:
    """Where everything is: ports of the loopback address."""

    proxy: int
    sealkey: int
    api: int


@dataclass(frozen=True)
class Kind:
    """A proxy: its section in the documentation, and how it is set up in a directory and started there. What this
    writes is made of the documented text, in which addresses and token are the test's own already."""

    program: str
    heading: str
    set_up: Callable[[Path, str, Addresses], Sequence[str]]
    tells_address: bool = True
    nothing_there: int | None = None
    """What it answers until it has read its configuration."""

    @property
    def path(self) -> str | None:
        """Where it is on this machine, if it is."""
        return shutil.which(self.program, path=_PATH)


def _nginx(directory: Path, documented: str, addresses: Addresses) -> Sequence[str]:
    temporary = "".join(
        f"{name}_temp_path {directory}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # One process, which is whoever starts it: no other user need be able to reach the directory.
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off;\npid {directory}/pid;\nevents {{}}\n"
        f"http {{ access_log {directory}/access.log; client_max_body_size 8m;\n{temporary}"
        f"{documented.replace('listen 8080', f'listen 127.0.0.1:{addresses.proxy}')} }}\n"
    )
    return ["-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]


def _caddy(directory: Path, documented: str, addresses: Addresses) -> Sequence[str]:
    site = documented.replace("api.example", f"http://127.0.0.1:{addresses.proxy}")
    assert site.startswith("{\n")
    (directory / "Caddyfile").write_text(site.replace("{\n", "{\n    admin off\n    auto_https off\n", 1))
    return ["run", "--config", str(directory / "Caddyfile")]


def _traefik(directory: Path, documented: str, addresses: Addresses) -> Sequence[str]:
    (directory / "dynamic.yaml").write_text(documented)
    return [
        f"--entrypoints.web.address=127.0.0.1:{addresses.proxy}",
        f"--providers.file.filename={directory}/dynamic.yaml",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]


def _envoy(directory: Path, documented: str, addresses: Addresses) -> Sequence[str]:
    (directory / "envoy.yaml").write_text(
        _ENVOY.format(
            manager=_ENVOY_MANAGER,
            port=addresses.proxy,
            http_filters=textwrap.indent(documented, " " * 14),
            clusters="".join(
                _ENVOY_CLUSTER.format(name=name, port=port)
                for name, port in (("sealkey", addresses.sealkey), ("api", addresses.api))
            ),
        )
    )
    return ["-c", str(directory / "envoy.yaml"), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]


_ENVOY_MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ENVOY = """
static_resources:
  listeners:
    - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
      filter_chains:
        - filters:
          - name: http
            typed_config:
              "@type": {manager}
              stat_prefix: http
              use_remote_address: true
              route_config:
                virtual_hosts:
                  - {{name: api, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: api}}}}]}}
{http_filters}
  clusters:
{clusters}
"""
_ENVOY_CLUSTER = """
    - name: {name}
      connect_timeout: 1s
      load_assignment:
        cluster_name: {name}
        endpoints:
          - lb_endpoints:
              - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
"""

KINDS = {
    "nginx": Kind("nginx", "### nginx", _nginx),
    "caddy": Kind("caddy", "### Caddy", _caddy),
    "traefik": Kind("traefik", "### Traefik", _traefik, tells_address=False, nothing_there=404),
    "envoy": Kind("envoy", "### Envoy", _envoy),
}


@contextmanager
def running_proxy(kind: Kind, directory: Path, *, sealkey: int, api: int, token: str) -> Iterator[str]:
    """The proxy on a free port; its address. What it logs is in the directory."""
    assert kind.path
    addresses = Addresses(free_port(), sealkey, api)
    documented = _documented(kind)
    values = {"sealkey:8000": f"127.0.0.1:{sealkey}", "api:9000": f"127.0.0.1:{api}", _TOKEN: token}
    for text, value in values.items():
        documented = documented.replace(text, value)
    arguments = kind.set_up(directory, documented, addresses)
    environment = {"PATH": _PATH, "HOME": str(directory), "SEALKEY_GATEWAY_TOKEN": token}
    url = f"http://127.0.0.1:{addresses.proxy}"
    with running([kind.path, *arguments], directory, environment, url, kind.nothing_there):
        yield url


def _documented(kind: Kind) -> str:
    (block,) = blocks(section(page("docs/gateways.md"), kind.heading))
    assert "sealkey:8000" in block.text or kind.program == "envoy"
    return block.text


@contextmanager
def running(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    url: str,
    nothing_there: int | None = None,
) -> Iterator[None]:
    """A proxy that serves at an address. What it logs is in the directory."""
    log = directory / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            give_up_at = time.monotonic() + 30
            while not _serves(url, nothing_there):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < give_up_at, log.read_text()
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _serves(url: str, nothing_there: int | None) -> bool:
    address = urlsplit(url)
    with socket.socket() as tried:
        listens = tried.connect_ex((address.hostname or "", address.port or 0)) == 0
    return listens and (nothing_there is None or httpx.get(url, trust_env=False).status_code != nothing_there)
