"""A successor takes a credential's place."""

from tests.support.world import Play

ROTATED = """
    credential { id name status predecessor { id } }
    predecessor { id status expiresAt successor { id } }
    delivery { ... on ViewAndCopyDelivery { apiKey apiSecret } }
"""


def test_both_work_until_the_grace_ends_and_then_only_the_successor(play: Play) -> None:
    old = play.generate("ci")
    rotated = play.member.do(
        "rotateCredential",
        ROTATED,
        credentialId=old["credential"]["id"],
        delivery={"method": "VIEW_AND_COPY"},
        graceHours=1,
        idempotencyKey="a" * 22,
    )
    assert rotated["predecessor"]["status"] == "RETIRING"
    assert rotated["credential"]["predecessor"]["id"] == old["credential"]["id"]
    again = play.member.do(
        "rotateCredential",
        ROTATED,
        credentialId=old["credential"]["id"],
        delivery={"method": "VIEW_AND_COPY"},
        graceHours=1,
        idempotencyKey="a" * 22,
    )
    assert again == rotated

    def decision(delivery: dict[str, str]) -> str:
        keys = {key: delivery[key] for key in ("apiKey", "apiSecret")}
        code: str = play.operator.do("verifyCredential", "decision code", **keys)["code"]
        return code

    assert decision(old["delivery"]) == decision(rotated["delivery"]) == "OK"
    play.clock.advance(hours=1)
    assert (decision(old["delivery"]), decision(rotated["delivery"])) == ("EXPIRED", "OK")


def test_the_successor_ends_when_it_is_asked_to(play: Play) -> None:
    old = play.generate("ci", expiry={"months": 1})["credential"]
    wanted = {"credentialId": old["id"], "delivery": {"method": "VIEW_AND_COPY"}, "expiry": {"months": 3}}
    rotated = play.member.do("rotateCredential", "credential { expiresAt } predecessor { expiresAt }", **wanted)
    assert rotated["credential"]["expiresAt"] == "2026-04-15T12:00:00Z"
    assert rotated["predecessor"]["expiresAt"] == "2026-01-16T12:00:00Z"
