"""What is recorded is recorded last in its transaction: whoever else is of the account waits for that alone."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.statements import statements
from tests.support.world import Play

# What recording itself writes.
RECORDING = {"audit_events", "audit_chains", "check_epoch", "check_changes"}

ACTS: dict[str, Callable[[Play], Any]] = {
    "generate": lambda play: play.generate("another"),
    "rotate": lambda play: play.member.do("rotateCredential", "credential { id }", **rotation(play)),
    "move": lambda play: play.member.do(
        "reassociateCredential",
        "credential { id }",
        credentialId=credential(play),
        serviceId=play.alder.services["timestamps"],
    ),
    "reveal": lambda play: play.member.do("revealApiKey", "apiKey", credentialId=credential(play)),
    "revoke": lambda play: play.member.do(
        "revokeCredential", "credential { id }", credentialId=credential(play), reason="SUPERSEDED"
    ),
    "revoke all that follow one another": lambda play: play.member.do(
        "revokeCredential", "credential { id }", credentialId=credential(play), reason="KEY_COMPROMISE", lineage=True
    ),
    "renew what had expired": lambda play: play.operator.do(
        "renewService",
        "service { id }",
        serviceId=play.alder.services["certificates"],
        expiresAt=play.clock.in_(days=90),
    ),
    "change a policy": lambda play: play.administrator.do(
        "updateCredentialPolicy", "account { id }", accountId=play.alder.id, maxActiveCredentialsPerUser=1
    ),
    "deactivate": lambda play: play.administrator.do(
        "deactivateUser", "user { id }", userId=play.alder.users["member"]
    ),
    "suspend": lambda play: play.operator.do(
        "suspendService", "service { id }", serviceId=play.alder.services["certificates"], reason="Not paid"
    ),
    "cancel": lambda play: play.operator.do(
        "cancelService", "service { id }", serviceId=play.alder.services["certificates"]
    ),
}

BEFORE: dict[str, Callable[[Play], Any]] = {
    "revoke all that follow one another": ACTS["rotate"],
    "renew what had expired": lambda play: play.rows.execute(
        "UPDATE services SET starts_at = '2025-01-01 00:00:00+00:00', expires_at = '2025-01-02 00:00:00+00:00'"
    ),
}


def credential(play: Play) -> str:
    found: str = play.member.data("{ credentials(first: 1) { nodes { id } } }")["nodes"][0]["id"]
    return found


def rotation(play: Play) -> dict[str, Any]:
    return {"credentialId": credential(play), "graceHours": 1, "delivery": {"method": "VIEW_AND_COPY"}}


@pytest.mark.parametrize("name", ACTS)
def test_nothing_else_is_written_once_the_log_is_held(play: Play, name: str) -> None:
    play.generate()
    if name in BEFORE:
        BEFORE[name](play)
    with statements() as run:
        ACTS[name](play)
    holds = [place for place, statement in enumerate(run) if re.search(r'FROM "?audit_chains', statement)]
    assert holds
    written = [re.match(r'(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)', statement) for statement in run[holds[0] :]]
    tables = [found[1] for found in written if found]
    assert {"audit_events", "audit_chains"} <= set(tables) <= RECORDING
    # For all that is recorded in a transaction the chain is held once, and then, last of all, the epoch.
    assert len(holds) == tables.count("audit_chains") == 1
    assert tables.count("check_epoch") <= 1
    if "check_epoch" in tables:
        assert set(tables[tables.index("check_epoch") :]) == {"check_epoch", "check_changes"}
