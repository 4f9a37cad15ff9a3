"""Databases that go away and come back; `make torture CAMPAIGN=outages` has more ways, and servers that take over."""

import pytest

from torture import outages


@pytest.mark.engine("sqlite")
def test_a_full_disk_is_told_of_and_nothing_is_lost_by_it() -> None:
    assert "reading and checking went on" in outages.on_sqlite(small=True)


@pytest.mark.engine("postgres")
def test_a_network_that_is_cut_backends_that_end_and_locks_are_told_of_and_got_over() -> None:
    assert "the network cut" in outages.on_postgres(small=True)
