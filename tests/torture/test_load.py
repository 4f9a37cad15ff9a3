"""The campaigns of load, for seconds: at full length `make torture CAMPAIGN=load` and `CAMPAIGN=soak` run them."""

from torture.load import loaded_server, outlast, overload


def test_twice_the_load_is_answered_or_refused_and_leaves_nothing_open() -> None:
    with loaded_server("sqlite", seed=1, small=True) as loaded:
        overload(loaded, "sqlite", 1, small=True)
        outlast(loaded, "sqlite", 100, small=True)
