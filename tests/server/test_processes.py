"""Several processes of one deployment: they agree on the keys, and exclude each other's changes."""

from pathlib import Path

import httpx

from tests.api.test_at_once import GENERATE, Request, at_once, outcomes
from tests.support.command import Serving, run
from tests.support.rows import Rows
from tests.support.world import OPERATOR, PASSWORD, make_world


def test_servers_started_at_once_on_nothing_have_the_same_keys_and_exclude_each_other(
    tmp_path: Path, empty_database_url: str
) -> None:
    data_dir = tmp_path / "data"
    with (
        Serving(data_dir, database_url=empty_database_url) as one,
        Serving(data_dir, database_url=empty_database_url) as other,
    ):
        one.wait()
        other.wait()
        settings = {"database_url": empty_database_url}
        assert run(data_dir, "operator", "create", "--email", OPERATOR, stdin=PASSWORD, **settings).exit_code == 0
        world = make_world(one, PASSWORD)
        assert [path.name for path in data_dir.iterdir() if path.name.startswith("server-keys")] == ["server-keys.json"]

        # A session that one began, the other knows; a secret that one made, the other checks.
        fields = {
            "name": "ci",
            "serviceId": world.alder.services["certificates"],
            "identityId": world.alder.identities["active"],
            "delivery": {"method": "VIEW_AND_COPY"},
        }
        token = world.alder.tokens["member"]
        clients = [one.client(token), other.client(token)]
        requests: list[Request] = [(clients[turn % 2], GENERATE, fields) for turn in range(40)]
        payloads = at_once(requests)
        assert outcomes(payloads) == {"done": 1, "TAKEN": 39}
        (delivery,) = [payload["delivery"] for payload in payloads if payload["delivery"]]
        for server in (one, other):
            assert server.client().do("login", "scope", **delivery)["scope"] == "certificates"

        chain = Rows(empty_database_url).execute("SELECT chain_id, sequence FROM audit_events ORDER BY 1, 2")
        heads = Rows(empty_database_url).execute("SELECT id, sequence FROM audit_chains ORDER BY id")
        assert chain == [(id_, sequence) for id_, newest in heads for sequence in range(1, newest + 1)]


def test_a_server_with_several_workers_serves(tmp_path: Path, database_url: str) -> None:
    with Serving(tmp_path, "--workers", "2", database_url=database_url) as server:
        server.wait()  # for its word only: the workers are still starting
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as patient:
            assert patient.get(f"{server.url}/readyz").text == "ok"
        assert server.client().data("{ __typename }") == "Query"
    assert "Traceback" not in server.errors
