"""What a server counts of itself, for who has the token."""

import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from server.metrics import METRICS
from tests.docs.markdown import ROOT, page, rows, section
from tests.plugins.play import Theatre
from tests.support.command import Serving
from tests.support.world import PASSWORD, Play

TOKEN = "scraper" * 4
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(url: str, client: Any = httpx) -> Samples:
    answer = client.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0)


@pytest.fixture(scope="module")
def play(theatre: Theatre) -> Iterator[Play]:
    with theatre.new(metrics_token=TOKEN) as play:
        yield play


@pytest.mark.parametrize("shown", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN])
def test_metrics_are_for_who_has_the_token(play: Play, shown: str | None) -> None:
    headers = {"Authorization": shown} if shown else {}
    answer = httpx.get(f"{play.server.url}/metrics", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert "sealkey_" not in answer.text


def test_without_a_token_in_the_settings_there_are_none(play: Play) -> None:
    state = play.server.app.state
    settings = state.settings
    state.settings = settings.model_copy(update={"metrics_token": SecretStr("")})
    try:
        answer = httpx.get(f"{play.server.url}/metrics", headers={"Authorization": "Bearer"})
    finally:
        state.settings = settings
    assert (answer.status_code, "SEALKEY_METRICS_TOKEN" in answer.text) == (404, True)


def test_what_only_impairs_a_server_is_no_reason_to_leave_it_out(play: Play) -> None:
    file = play.server.data_dir / "server-keys.json"
    kept = file.read_bytes()
    for content, impaired in ((b"nonsense", 1), (kept, 0)):
        file.write_bytes(content)
        play.server.run(lambda _: play.server.app.state.housekeeping.follow_keys())
        httpx.get(f"{play.server.url}/readyz")
        after = scraped(play.server.url)
        assert value(after, "sealkey_impaired", reason="keys_unreadable") == impaired
        assert value(after, "sealkey_server_keys_readable") == 1 - impaired
        assert not [sample for sample in after if sample[0] == "sealkey_not_ready" and after[sample]]


def test_what_happens_is_counted(play: Play) -> None:
    before = scraped(play.server.url)
    keys = play.keys("counted")
    wanted = {"name": "edge", "expiresAt": play.clock.in_(days=1)}
    headers = {"X-Sealkey-Gateway-Token": play.operator.do("createGatewayToken", "token", **wanted)["token"]}
    auth = (keys["apiKey"], keys["apiSecret"])
    for path in ("/verify", "/verify", "/verify?service=timestamps"):
        httpx.get(f"{play.server.url}{path}", auth=auth, headers=headers)
    httpx.get(f"{play.server.url}/verify", auth=("nobody", "nothing"), headers=headers)
    httpx.get(f"{play.server.url}/verify", auth=auth)
    play.nobody.do("login", "scope", **keys)
    play.nobody.mutate("login", "scope", **{**keys, "apiSecret": "wrong"})
    play.nobody.mutate("signIn", "expiresAt", email="member@alder.example", password="wrong")
    play.nobody.do("signIn", "expiresAt", email="member@alder.example", password=PASSWORD)
    play.nobody.error_code("{ viewer { nothing } }")
    play.nobody.error_code("{ users { totalCount } }")
    after = scraped(play.server.url)

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("sealkey_checks_total", code="OK", remembered="yes") == 1
    assert more("sealkey_checks_total", code="OK", remembered="no") == 1
    assert more("sealkey_checks_total", code="WRONG_SERVICE", remembered="yes") == 1
    assert more("sealkey_checks_total", code="INVALID_CREDENTIALS", remembered="no") == 1
    assert more("sealkey_verify_failures_total", code="GATEWAY_NOT_ALLOWED") == 1
    assert more("sealkey_logins_total") == 1
    assert more("sealkey_events_total", type="login.denied") == 1
    assert more("sealkey_events_total", type="sign_in.denied") == 1
    assert more("sealkey_events_total", type="session.started") == 1
    assert more("sealkey_events_total", type="credential.generated") == 1
    assert more("sealkey_graphql_operations_total", kind="mutation", code="OK") == 6
    assert more("sealkey_graphql_operations_total", kind="none", code="GRAPHQL_VALIDATION_FAILED") == 1
    assert more("sealkey_graphql_operations_total", kind="query", code="UNAUTHENTICATED") == 1
    assert more("sealkey_http_requests_total", route="/graphql", method="POST", status="200") == 8
    assert more("sealkey_http_request_duration_seconds_count", route="/graphql") == 8
    assert more("sealkey_http_request_duration_seconds_bucket", route="/graphql", le="+Inf") == 8
    assert value(after, "sealkey_check_memory_credentials") == 1
    assert value(after, "sealkey_server_keys_readable") == 1
    assert value(after, "sealkey_workers") == 1
    assert value(after, "sealkey_build_info", version="0.1.0", python=platform.python_version()) == 1


def test_nothing_that_a_client_chooses_is_a_label(play: Play) -> None:
    marks = "m4rk"
    httpx.request(marks.upper(), f"{play.server.url}/{marks}?{marks}={marks}", headers={marks: marks})
    httpx.get(f"{play.server.url}/verify/{marks}", auth=(marks, marks), headers={"X-Sealkey-Gateway-Token": marks})
    httpx.get(f"{play.server.url}/graphiql/{marks}")
    play.nobody.execute(f"query {marks} {{ {marks}: __typename }}")
    play.nobody.execute(f"query {marks} {{ {marks} }}")
    samples = scraped(play.server.url)
    assert not [labels for _, labels in samples if marks in str(labels).lower()]
    assert len(samples) < 500
    names = ("alder", "birch", "sealkey_key", "example", "127.0.0.1")
    assert not [labels for _, labels in samples for name in names if name in str(labels)]


def test_every_alert_is_documented_and_asks_for_metrics_that_there_are() -> None:
    rules = (ROOT / "deploy/alerts.yaml").read_text()
    documented = rows(section(page("docs/monitoring.md"), "### Alerts"), "alert", "what it means")
    assert re.findall(r"- alert: (\w+)", rules) == [row[0].strip("`") for row in documented]
    assert set(re.findall(r"\bsealkey_\w+", rules)) <= {
        name + ("_total" if metric.kind == "counter" else "") for name, metric in METRICS.items()
    }


@pytest.mark.skipif(not shutil.which("promtool"), reason="There is no promtool.")
def test_prometheus_takes_the_alerts() -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", ROOT / "deploy/alerts.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_metric_is_documented() -> None:
    table = rows(section(page("docs/monitoring.md"), "## Metrics"), "metric", "labels", "what it is")
    documented = [[cell.strip("`") for cell in row[:2]] for row in table]
    suffix = {"counter": "_total"}
    assert documented == [
        [name + suffix.get(metric.kind, ""), ", ".join(metric.labels)] for name, metric in METRICS.items()
    ]


def test_whichever_worker_is_asked_no_counter_goes_down(tmp_path: Path) -> None:
    """Also when one of them has ended and another has taken its place."""
    with Serving(tmp_path, "--workers", "2", metrics_token=TOKEN, notifications="false") as server:
        server.wait()
        give_up = time.monotonic() + 60

        def scraped_by_anybody() -> Samples:
            """Each time by a connection of its own, which either may take."""
            while True:
                try:
                    return scraped(server.url)
                except httpx.TransportError:
                    assert time.monotonic() < give_up, server.errors
                    time.sleep(0.05)

        while value(seen := scraped_by_anybody(), "sealkey_workers") < 2:
            assert time.monotonic() < give_up, seen
            time.sleep(0.05)
        for number in range(20):
            httpx.get(f"{server.url}/healthz")
            now = scraped_by_anybody()
            gone_down = {name: (seen[name], now.get(name)) for name in _counters(seen) if now.get(name, 0) < seen[name]}
            assert not gone_down, number
            seen = now
        healthy = {"route": "/healthz", "method": "GET", "status": "200"}
        while value(now := scraped_by_anybody(), "sealkey_http_requests_total", **healthy) < 20:
            assert time.monotonic() < give_up, now
        assert value(now, "sealkey_http_requests_total", **healthy) == 20


def _counters(samples: Samples) -> list[Any]:
    return [name for name in samples if name[0].endswith(("_total", "_count", "_bucket", "_sum"))]
