"""Trusted documents: what the deployment's own clients were built with is executed, and nothing else."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from server.cli import main
from server.settings import load_settings
from tests.persisted.test_automatic import apollo, ask, code, hash_of
from tests.plugins.play import Theatre
from tests.support.world import Play

ROLE = "query Role { viewer { role } }"
LOGIN = 'mutation LogIn { login(input: {apiKey: "a", apiSecret: "b"}) { userErrors { code } } }'
ANSWER = {"data": {"viewer": {"role": "MEMBER"}}}


def apollo_manifest(*documents: tuple[str, str, str]) -> dict[str, Any]:
    operations = [{"id": id_, "name": name, "type": "query", "body": body} for id_, name, body in documents]
    return {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}


MANIFESTS = {
    "Apollo": apollo_manifest((hash_of(ROLE), "Role", ROLE), (hash_of(LOGIN), "LogIn", LOGIN)),
    "graphql-codegen": {hash_of(ROLE): ROLE, hash_of(LOGIN): LOGIN},
    "Relay": {"0123456789abcdef0123456789abcdef": ROLE, "fedcba9876543210fedcba9876543210": LOGIN},
}


def written(tmp_path: Path, manifest: Any) -> Path:
    path = tmp_path / "manifest.json"
    path.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return path


@pytest.fixture(params=MANIFESTS)
def manifest(request: pytest.FixtureRequest) -> Any:
    return MANIFESTS[request.param]


def ids(manifest: Any) -> list[str]:
    return [each["id"] for each in manifest["operations"]] if "operations" in manifest else list(manifest)


def test_what_is_on_the_list_is_executed_and_nothing_else(theatre: Theatre, tmp_path: Path, manifest: Any) -> None:
    with theatre.new(graphql_trusted_documents=written(tmp_path, manifest)) as play:
        first, second = ids(manifest)
        for trusted in (
            {"documentId": first},
            {"documentId": f"sha256:{hash_of(ROLE)}"},
            apollo(hash_of(ROLE)),
            apollo(first),
            apollo(hash_of(ROLE), query=ROLE),
            {"query": ROLE},
        ):
            assert ask(play, **trusted) == ANSWER
        assert "data" in ask(play, documentId=second)
        other = "query Role { viewer { role  } }"
        for untrusted in (
            {"query": other},
            {"query": "{ __typename }"},
            {"query": "{"},
            apollo(hash_of(other)),
            apollo(hash_of(other), query=other),
            {"documentId": "another"},
            {"documentId": ""},
        ):
            assert code(ask(play, **untrusted)) == "DOCUMENT_NOT_TRUSTED"
        assert code(ask(play, documentId=first, query=other)) == "BAD_USER_INPUT"
        assert_get_is_no_way_around(play, first, second)


def assert_get_is_no_way_around(play: Play, query: str, mutation: str) -> None:
    def get(**parameters: str) -> httpx.Response:
        url = f"{play.server.url}/graphql"
        return httpx.get(url, params=parameters, headers=play.member.headers, verify=False)

    assert get(documentId=query).json() == ANSWER
    assert get(documentId=mutation).status_code == 405
    assert code(get(query="{ __typename }").json()) == "DOCUMENT_NOT_TRUSTED"


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("nonsense", "is no list of documents as Apollo, graphql-codegen or Relay write it."),
        ("[]", "is no list of documents as Apollo, graphql-codegen or Relay write it."),
        ({"a": 1}, "is no list of documents as Apollo, graphql-codegen or Relay write it."),
        ({**apollo_manifest(), "version": 2}, "is no list of documents as Apollo, graphql-codegen or Relay write it."),
        ({**apollo_manifest(), "operations": [{}]}, "is no list of documents as Apollo, graphql-codegen or Relay"),
        (apollo_manifest(("1", "Gone", "query Gone { gone }")), "Gone can't be executed. Cannot query field 'gone'"),
        ({"abc": "{"}, "abc can't be executed. Syntax Error: Expected Name, found <EOF>."),
        ({"abc": "{ viewer { " + "role " * 60 + "} }"}, "abc can't be executed. There are too many repeated fields"),
        ({"abc": "fragment F on Query { __typename }"}, "abc can't be executed. Fragment 'F' is never used."),
        (apollo_manifest(("1", "A", ROLE), ("1", "B", LOGIN)), "1 stands for two documents."),
    ],
    ids=[
        "no JSON",
        "a list",
        "no texts",
        "a later version",
        "no operation",
        "gone",
        "no GraphQL",
        "too large",
        "none",
        "two",
    ],
)
def test_a_server_does_not_start_with_a_list_that_it_can_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Any, message: str
) -> None:
    monkeypatch.setenv("SEALKEY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEALKEY_GRAPHQL_TRUSTED_DOCUMENTS", str(written(tmp_path, manifest)))
    ran = CliRunner().invoke(main, ["serve", "--port", "1"])
    assert ran.exit_code == 1
    assert message in ran.output
    assert list(tmp_path.iterdir()) == [tmp_path / "manifest.json"]


def test_nor_with_one_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALKEY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEALKEY_GRAPHQL_TRUSTED_DOCUMENTS", str(tmp_path / "none.json"))
    ran = CliRunner().invoke(main, ["serve", "--port", "1"])
    named = f"Error: SEALKEY_GRAPHQL_TRUSTED_DOCUMENTS names {tmp_path / 'none.json'}, where there is no file.\n"
    assert (ran.exit_code, ran.output) == (1, named)


def test_an_empty_setting_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALKEY_GRAPHQL_TRUSTED_DOCUMENTS", "")
    assert load_settings().graphql_trusted_documents is None
