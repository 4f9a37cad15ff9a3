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


def credential(play: Play) -> str:
    found: str = play.member.data("{ credentials(first: 1) { nodes { id } } }")["nodes"][0]["id"]
    return found


def rotation(play: Play) -> dict[str, Any]:
    return {"credentialId": credential(play), "graceHours": 1, "delivery": {"method": "VIEW_AND_COPY"}}


@pytest.mark.parametrize("name", ACTS)
def test_nothing_else_is_written_once_the_log_is_held(play: Play, name: str) -> None:
    play.generate()
    with statements() as run:
        ACTS[name](play)
    holds = [place for place, statement in enumerate(run) if re.search(r'FROM "?audit_chains', statement)]
    assert holds
    written = [re.match(r'(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)', statement) for statement in run[holds[0] :]]
    assert {"audit_events", "audit_chains"} <= {found[1] for found in written if found} <= RECORDING
