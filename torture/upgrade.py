"""Upgrading: the database becomes the newest while servers of the version before go on, and loses nothing.

For each earlier version that the repository has, on both engines: a database that the first migration made, with data;
a server of that version on it, with a customer who signs in, generates, logs in, lists and revokes without pause; the
newest server is started on the same database, which upgrades it; from then on both are used, each by a customer, then
the old one is started once more. Every row from before must be there unchanged, every change that was acknowledged must
count at both, and nobody may be told of an error; and the newest version verifies the audit log that both wrote. Then
upgrades that are killed: old or new is what they leave.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from tests.models.describe import describe
from tests.models.test_upgrading import ROWS
from tests.models.versions import columns, contents, migrate_to
from tests.postgres import running_postgres
from tests.support.rows import Rows
from tests.support.server import START, Client
from tests.support.world import OPERATOR, PASSWORD, World, make_world
from torture.campaign import CampaignFailed
from torture.earlier import Version, earlier, newest

_FIRST = "m0001_first"
_GENERATE = "credential { id } delivery { ... on ViewAndCopyDelivery { apiKey apiSecret } }"
# What is noted of use, or counted: it goes on changing.
_MOVING_TABLES = frozenset({"audit_chains", "check_epoch", "throttles", "credential_usage"})
_MOVING_COLUMNS = frozenset({"last_seen_at", "last_used_at"})
Still: TypeAlias = tuple[dict[str, dict[str, bool]], dict[str, list[Mapping[str, Any]]]]
# Imports once; each upgrade is a fork of it, which begins at once and says who it is.
_UPGRADER = """
import os, sys
from server.cli import main
for url in sys.stdin:
    child = os.fork()
    if not child:
        os.environ["SEALKEY_DATABASE_URL"] = url.strip()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        main(["db", "upgrade"])
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def upgrade(*, small: bool) -> None:
    """Raises CampaignFailed where something was lost, refused or left half done."""
    with tempfile.TemporaryDirectory(prefix="sealkey-upgrade-") as name, ExitStack() as stack:
        directory = Path(name)
        versions = earlier(directory / "versions")
        if not versions:
            print("no earlier version is at hand: this clone has no history")
        for engine in ("sqlite",) if small else ("sqlite", "postgres"):
            make_database = _databases(engine, directory, stack)
            for version in versions[-1:] if small else versions:
                _rolling(version, make_database(version.last_migration), directory, small=small)
            _killed(make_database, rounds=1 if small else 100)


def _databases(engine: str, directory: Path, stack: ExitStack) -> Callable[[str], str]:
    if engine == "postgres":
        return stack.enter_context(running_postgres()).create_database
    return lambda name: f"sqlite://{directory}/{name}.sqlite3"


# ---------------------------------------------------------------- while the version before goes on


@dataclass
class Customer:
    """A member who goes through the main job again and again, at one server, and notes what was acknowledged."""

    url: str
    world: World
    account: str
    credentials: list[tuple[dict[str, str], bool]] = field(default_factory=list)
    """Each one's key and secret, and whether it was revoked."""
    loops: int = 0
    error: str | None = None
    slowest: float = 0

    def go_on(self, is_over: threading.Event) -> None:
        try:
            while not is_over.is_set():
                began = time.monotonic()
                self._once()
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.loops += 1
        except (AssertionError, httpx.HTTPError, KeyError, ValueError) as error:
            self.error = f"{type(error).__name__}: {error}"

    def _once(self) -> None:
        account = getattr(self.world, self.account)
        signed_in = {"email": f"member@{self.account}.example", "password": PASSWORD}
        client = Client(self.url, Client(self.url).do("signIn", "sessionToken", **signed_in)["sessionToken"])
        wanted = {
            "name": f"{self.account}_{len(self.credentials)}",
            "serviceId": account.services["certificates"],
            "identityId": account.identities["active"],
            "delivery": {"method": "VIEW_AND_COPY"},
        }
        made = client.do("generateCredential", _GENERATE, **wanted)
        keys = {key: made["delivery"][key] for key in ("apiKey", "apiSecret")}
        self.credentials.append((keys, False))
        assert logs_in(self.url, keys), "a new credential does not log in"
        listed = client.data("{ credentials { nodes { name } } }")["nodes"]
        assert wanted["name"] in [each["name"] for each in listed], "a new credential is not listed"
        client.do("revokeCredential", "credential { id }", credentialId=made["credential"]["id"], reason="SUPERSEDED")
        self.credentials[-1] = (keys, True)
        assert not logs_in(self.url, keys), "a revoked credential logs in"


def logs_in(url: str, keys: Mapping[str, str]) -> bool:
    payload = Client(url).mutate("login", "accessToken", **keys)
    codes = {error["code"] for error in payload["userErrors"]}
    assert codes <= {"CREDENTIAL_NOT_ACTIVE"}, codes
    return not codes


@contextmanager
def _at_work(customers: list[Customer]) -> Iterator[None]:
    is_over = threading.Event()
    threads = [threading.Thread(target=customer.go_on, args=[is_over]) for customer in customers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    for customer in customers:
        if customer.error:
            raise CampaignFailed(f"{customer.account} was told: {customer.error}")


def _wait_for(customers: list[Customer], loops: int) -> None:
    wanted = [customer.loops + loops for customer in customers]
    give_up_at = time.monotonic() + 120
    while any(customer.loops < least for customer, least in zip(customers, wanted, strict=True)):
        if any(customer.error for customer in customers):
            return
        if time.monotonic() > give_up_at:
            raise CampaignFailed("a server has stopped answering")
        time.sleep(0.02)


def _rolling(version: Version, url: str, directory: Path, *, small: bool) -> None:
    loops = 1 if small else 25
    data_dir = directory / f"{url.partition(':')[0]}-{version.last_migration}"
    settings = {"database_url": url, "data_dir": str(data_dir)}
    create_operator = partial(version.run, "operator", "create", "--email", OPERATOR, stdin=PASSWORD)
    rows, elsewhere = Rows(url), f"sqlite://{data_dir}.sqlite3"
    create_operator(database_url=elsewhere, data_dir=str(data_dir))  # which makes the keys
    asyncio.run(migrate_to(url, _FIRST))
    _write_as_the_first(rows, Rows(elsewhere))
    of_the_first = _still(rows)
    asyncio.run(migrate_to(url, version.last_migration))
    create_operator(**settings)
    with version.serving(**settings) as old:
        world = make_world(_Server(old), PASSWORD)
        settled = _settle(old, world)
        before = _still(rows)
        if (ran := rows.execute("SELECT max(name) FROM tortoise_migrations")) != [(version.last_migration,)]:
            raise CampaignFailed(f"the server of {version.last_migration} is another: {ran}")
        first, second = Customer(old, world, "birch"), Customer("", world, "alder")
        with _at_work([first]):
            _wait_for([first], loops)
            began = time.monotonic()
            with newest().serving(**settings) as new:
                took = time.monotonic() - began
                second.url = new
                with _at_work([second]):
                    _wait_for([first, second], loops)
                _confirm_rows(version, rows, of_the_first)
                _confirm_rows(version, rows, before)
                _confirm(version, settled, [first, second], [old, new])
    if not small:
        _start_again(version, settings, world, first)
    verified = _verified(version, settings)
    print(
        f"  {rows.engine}, from {version.last_migration}: {first.loops} rounds at the old server (the slowest "
        f"{first.slowest:.2f} s), {second.loops} at the new one, which started in {took:.1f} s; nothing lost; "
        f"{verified}"
    )


def _verified(version: Version, settings: dict[str, str]) -> str:
    """What the newest version says of the audit log, which both wrote in turn."""
    try:
        return newest().run("audit", "verify", **settings).strip()
    except subprocess.CalledProcessError as error:
        raise CampaignFailed(f"from {version.last_migration}: {error.stdout}{error.stderr}") from None


def _start_again(version: Version, settings: dict[str, str], world: World, customer: Customer) -> None:
    """A server of the version before that ends meanwhile, and that something starts again."""
    with version.serving(**settings) as url:
        again = Customer(url, world, "birch", credentials=customer.credentials)
        with _at_work([again]):
            _wait_for([again], 1)


@dataclass(frozen=True)
class _Server:
    url: str

    def client(self, token: str | None = None) -> Client:
        return Client(self.url, token)


def _settle(url: str, world: World) -> list[dict[str, str]]:
    """A credential that nobody touches afterwards."""
    client, account = Client(url, world.alder.tokens["member"]), world.alder
    wanted = {"serviceId": account.services["timestamps"], "identityId": account.identities["other"]}
    made = client.do("generateCredential", _GENERATE, name="settled", delivery={"method": "VIEW_AND_COPY"}, **wanted)[
        "delivery"
    ]
    return [{key: made[key] for key in ("apiKey", "apiSecret")}]


def _write_as_the_first(rows: Rows, elsewhere: Rows) -> None:
    """What the first version wrote, in an account of its own, under the keys that there are elsewhere."""
    known = elsewhere.execute("SELECT id, check_value FROM server_keys")
    keys = [("server_keys", {"id": id_, "check_value": value, "created_at": START}) for id_, value in known]
    for table, row in [*keys, *ROWS[_FIRST]]:
        if table == "accounts":
            rows.insert(table, {**row, "name": "First"})
        elif table == "audit_chains":
            rows.insert(table, {**row, "sequence": 0, "hash": ""})  # the rows' own event is of no key
        elif table != "audit_events" and (table != "server_keys" or row["check_value"] != "0"):
            rows.insert(table, row)


def _still(rows: Rows) -> Still:
    """What is there and stays as it is: its columns, and its rows."""
    lasting = {
        table: {name: left_out for name, left_out in names.items() if name not in _MOVING_COLUMNS}
        for table, names in columns(rows).items()
        if table not in _MOVING_TABLES
    }
    return lasting, contents(rows, lasting)


def _confirm_rows(version: Version, rows: Rows, before: Still) -> None:
    after = contents(rows, before[0])
    for table, was in before[1].items():
        if lost := [row for row in was if row not in after[table]]:
            raise CampaignFailed(f"from {version.last_migration}, {table}: {len(lost)} rows are gone or changed")


def _confirm(version: Version, settled: list[dict[str, str]], customers: list[Customer], servers: list[str]) -> None:
    # But for the last of each, which they are still at.
    finished = [each for customer in customers for each in list(customer.credentials)[-4:-1]]
    for url in servers:
        for keys, is_revoked in [*((keys, False) for keys in settled), *finished]:
            if logs_in(url, keys) is is_revoked:
                raise CampaignFailed(f"from {version.last_migration}: what was acknowledged does not count at {url}")


# ---------------------------------------------------------------- killed


def _killed(make_database: Callable[[str], str], *, rounds: int) -> None:
    """Kills upgrades of the first version's database after ever another time."""
    left, chance = {"old": 0, "new": 0}, random.Random(1)
    with _upgrader() as upgrader:
        whole = make_database("whole")
        asyncio.run(migrate_to(whole, _FIRST))
        old, duration = describe(Rows(whole)), upgrader.run(whole, None)
        new = describe(Rows(whole))
        for number in range(rounds):
            url = make_database(f"killed_{number}")
            asyncio.run(migrate_to(url, _FIRST))
            upgrader.run(url, chance.uniform(0, duration))
            found = describe(Rows(url))
            if found not in (old, new):
                raise CampaignFailed(f"a killed upgrade left {url} half done")
            left["new" if found == new else "old"] += 1
            upgrader.run(url, None)
            if describe(Rows(url)) != new:
                raise CampaignFailed(f"what a killed upgrade left can't be upgraded: {url}")
    print(
        f"  {rounds} upgrades killed within {duration:.2f} s: {left['old']} left the old schema, {left['new']} the new"
    )


@dataclass(frozen=True)
class _Upgrader:
    process: subprocess.Popen[str]

    def run(self, url: str, killed_after: float | None) -> float:
        """An upgrade to its end, or to an earlier one; the seconds that it took."""
        assert self.process.stdin
        self.process.stdin.write(f"{url}\n")
        self.process.stdin.flush()
        child, began = int(self._line()), time.monotonic()
        if killed_after is not None:
            time.sleep(killed_after)
            with suppress(ProcessLookupError):  # it was done
                os.kill(child, signal.SIGKILL)
        if self._line() != "ended":
            raise CampaignFailed("an upgrade did not end")
        return time.monotonic() - began

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextmanager
def _upgrader() -> Iterator[_Upgrader]:
    with subprocess.Popen(
        [sys.executable, "-c", _UPGRADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield _Upgrader(process)
