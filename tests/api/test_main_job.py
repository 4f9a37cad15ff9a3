"""The main job, end to end, by the people whose job it is."""

from tests.support.world import Play


def test_a_member_generates_a_credential_and_logs_in_with_it(play: Play) -> None:
    generated = play.generate("ci")
    assert generated["credential"]["usable"] is True
    delivery = generated["delivery"]

    login = play.nobody.do(
        "login",
        "accessToken tokenType expiresIn scope",
        apiKey=delivery["apiKey"],
        apiSecret=delivery["apiSecret"],
    )
    assert (login["tokenType"], login["expiresIn"], login["scope"]) == ("Bearer", 600, "certificates")


def test_a_moved_credential_logs_in_for_its_new_service_with_the_same_secret(play: Play) -> None:
    generated = play.generate("ci")
    moved = play.member.do(
        "reassociateCredential",
        "credential { service { code } }",
        credentialId=generated["credential"]["id"],
        serviceId=play.alder.services["timestamps"],
    )
    assert moved["credential"]["service"]["code"] == "timestamps"

    keys = {key: generated["delivery"][key] for key in ("apiKey", "apiSecret")}
    assert play.nobody.do("login", "scope", **keys)["scope"] == "timestamps"


def test_a_revoked_credential_is_let_in_nowhere(play: Play) -> None:
    generated = play.generate("ci")
    keys = {key: generated["delivery"][key] for key in ("apiKey", "apiSecret")}
    play.member.do("revokeCredential", "credential { id }", credentialId=generated["credential"]["id"])

    assert play.nobody.refusals("login", "accessToken", **keys) == [("CREDENTIAL_NOT_ACTIVE", None)]
    assert play.operator.do("verifyCredential", "decision code", **keys)["code"] == "REVOKED"
