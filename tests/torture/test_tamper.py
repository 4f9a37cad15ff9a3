"""Tampering with the audit log, in a small size; and the campaign notices where something is not found."""

import pytest

from models.audit_log import EventRow
from resolvers import audit_hash
from torture.campaign import CampaignFailed
from torture.tamper import tamper


def test_whatever_is_done_to_the_log_is_found_and_named() -> None:
    tamper(small=True)


def test_a_column_that_the_hash_does_not_cover_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = audit_hash._second
    without_address = staticmethod(
        lambda chain_id, event, previous: whole(chain_id, EventRow(**{**event._asdict(), "source_ip": None}), previous)
    )
    monkeypatch.setitem(audit_hash._MESSAGES, 2, without_address)
    with pytest.raises(CampaignFailed, match=r"source_ip changed: .* was not found"):
        tamper(small=True)
