"""Any input is read or refused; `make torture CAMPAIGN=inputs` has a million of them."""

from torture import inputs


def test_whatever_is_sent_is_read_or_refused_and_answered_as_documented() -> None:
    inputs.inputs(small=True)
