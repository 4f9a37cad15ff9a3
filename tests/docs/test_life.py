"""docs/life.md: its operations run in their order, and are answered as it says."""

import re

from resolvers.expiry import MAXIMUM_MONTHS
from resolvers.policy import LARGEST_RSA_KEY_BITS, MOST_CREDENTIALS
from server.settings import Settings
from tests.docs.examples import examples, run
from tests.docs.markdown import page, rows
from tests.plugins.play import StartPlay
from tests.support.world import Play

PAGE = page("docs/life.md")


def test_every_example_is_answered_as_it_says(play: Play) -> None:
    assert len(examples(PAGE)) == 10
    run(play, PAGE)


def table() -> dict[str, list[str]]:
    """The policy's fields: default, what administrators may set, what operators may."""
    return {name.strip("`"): cells for name, *cells in rows(PAGE, "field", "default", "administrators", "operators")}


def written(value: object) -> str:
    """A value as the page writes it."""
    return {None: "no bound", False: "false"}.get(value, str(value))  # type: ignore[call-overload,no-any-return]


def test_the_bounds_of_the_policy_are_the_settings_and_their_defaults() -> None:
    settings = Settings()
    said = dict(re.findall(r"`SEALKEY_(POLICY_\w+)` \(([\w ]+)\)", str(table())))
    names = [name for name in Settings.model_fields if name.startswith("policy_")]
    assert said == {name.upper(): written(getattr(settings, name)) for name in names}
    assert table()["maxActiveCredentialsPerUser"][2] == f"0 to {MOST_CREDENTIALS}"
    assert table()["defaultExpiryMonths"][2] == f"1 to {MAXIMUM_MONTHS}, or null"
    assert table()["minimumRsaKeyBits"][2] == f"2048 to {LARGEST_RSA_KEY_BITS}"


def test_the_defaults_of_the_policy_are_those_of_a_new_account(play: Play) -> None:
    document = f"{{ viewer {{ account {{ policy {{ {' '.join(table())} }} }} }} }}"
    policy = play.auditor.data(document)["account"]["policy"]
    assert len(policy.pop("allowedDeliveryMethods")) == 2
    said = {name: default.removeprefix("null, ") for name, (default, *_) in table().items()}
    assert said == {"allowedDeliveryMethods": "both", **{name: written(value) for name, value in policy.items()}}


def test_a_new_account_begins_within_the_providers_bounds(start_play: StartPlay) -> None:
    assert "a new account begins within the provider's bounds" in " ".join(PAGE.split())
    play = start_play(policy_max_active_credentials=1, policy_maximum_expiry_months=6, policy_minimum_rsa_key_bits=3072)
    policy = "maxActiveCredentialsPerUser defaultExpiryMonths maximumExpiryMonths minimumRsaKeyBits neverExpiresAllowed"
    made = play.operator.do("createAccount", f"account {{ policy {{ {policy} }} }}", name="Cedar")["account"]["policy"]
    assert list(made.values()) == [1, 6, 6, 3072, False]
