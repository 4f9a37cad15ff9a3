"""What somebody was not allowed to do is in the audit log, in words that they did not choose, and once for each
request."""

import httpx

from tests.access.stage import Stage
from tests.access.tables import Tables, changes


def test_a_denial_is_recorded_under_the_field_s_own_name_whatever_alias_it_was_given(
    stage: Stage, tables: Tables
) -> None:
    before = tables.dump()
    assert stage.clients["auditor"].error_code(
        'mutation { a_look: createAccount(input: { name: "Mine" }) { userErrors { code } } }'
    )
    (_, (event,)) = changes(before, tables.dump())["audit_events"]

    assert event["summary"].startswith("createAccount was denied: ")


def test_one_request_that_is_denied_a_field_many_times_is_recorded_once(stage: Stage, tables: Tables) -> None:
    before = tables.dump()
    answer = stage.clients["gateway"].execute(
        """mutation ($input: VerifyCredentialsInput!) {
            verifyCredentials(input: $input) { results { code credential { id auditEvents { totalCount } } } }
        }""",
        input={"credentials": [stage.mine.keys] * 20},
    )
    (_, (event,)) = changes(before, tables.dump())["audit_events"]

    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"] * 9
    assert [each["code"] for each in answer["data"]["verifyCredentials"]["results"]] == ["OK"] * 20
    assert event["summary"].startswith("auditEvents was denied: ")


def test_nor_is_a_lack_of_api_access_recorded_more_than_once_in_a_request(stage: Stage, tables: Tables) -> None:
    before = tables.dump()
    tries = (f'a{n}: revealApiKey(input: {{credentialId: "none"}}) {{ userErrors {{ code }} }}' for n in range(20))
    answer = stage.clients["no-access"].execute(f"mutation {{ {' '.join(tries)} }}")
    assert [each["userErrors"] for each in answer["data"].values()] == [[{"code": "API_ACCESS_REMOVED"}]] * 20
    (_, (event,)) = changes(before, tables.dump())["audit_events"]

    assert event["summary"].startswith("revealApiKey was denied: ")


def test_who_may_not_introspect_a_token_is_refused_and_recorded(stage: Stage, tables: Tables) -> None:
    def introspect(column: str) -> int:
        client = stage.clients[column]
        url = f"{stage.play.server.url}/oauth/introspect"
        return httpx.post(url, headers=client.headers, data={"token": "nobody's"}, verify=False).status_code

    for column in ("member", "auditor", "token"):
        before = tables.dump()
        assert introspect(column) == 401
        (_, (event,)) = changes(before, tables.dump())["audit_events"]
        assert (event["type"], event["actor_id"]) == ("access.denied", stage.actor_of(column))
        assert event["summary"].startswith("introspection was denied: ")
    before = tables.dump()
    assert [introspect(column) for column in ("nobody", "gateway", "operator")] == [401, 200, 200]
    assert changes(before, tables.dump()) == {}
