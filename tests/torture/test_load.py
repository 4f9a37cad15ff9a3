"""The campaigns of load, for seconds: at full length `make torture CAMPAIGN=load` and `CAMPAIGN=soak` run them."""

from torture.load import load, soak


def test_twice_the_load_is_answered_or_refused_in_words_that_programs_know() -> None:
    load(small=True, seconds=2, engine="sqlite")


def test_a_day_s_worth_leaves_nothing_open() -> None:
    soak(small=True, requests=500, engine="postgres")
