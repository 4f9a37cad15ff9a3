"""What nobody waits for any more, where fields fail beside others, is ended without keeping the process from others."""

import pytest

from schema.plain_fields import PlainFieldsExecutor
from tests.support.world import Play

SUCCESSORS = "successor { successor { successor { successor { id } } } }"
FAILING = f"""query ($ids: [ID!]!, $days: Int = 7) {{
    nodes(ids: $ids) {{ ... on Credential {{ {SUCCESSORS} usage(days: $days) {{ date }} }} }}
}}"""
AS_LONG = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Credential {{ {SUCCESSORS} }} }} }}"


def test_many_fields_left_behind_take_no_longer_than_they_are_many(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """They end at different times: each credential has another number of successors."""
    asked, let_go = 0, PlainFieldsExecutor.let_go

    def counted(executor: PlainFieldsExecutor) -> None:
        nonlocal asked
        asked += 1
        let_go(executor)

    monkeypatch.setattr(PlainFieldsExecutor, "let_go", counted)
    ids = [play.generate()["credential"]["id"]]
    for _ in range(4):
        wanted = {"credentialId": ids[-1], "graceHours": 24, "delivery": {"method": "VIEW_AND_COPY"}}
        ids.append(play.member.do("rotateCredential", "credential { id }", **wanted)["credential"]["id"])
    asked = 0
    # Five at once are more than a thousand times; of ten nobody has seen the end.
    assert play.member.execute(FAILING, ids=ids * 4, days=None)["data"] == {"nodes": [None] * 20}
    play.member.data(AS_LONG, ids=ids)
    assert asked < 50
