"""What every door to the database may say before anything is asked of it."""


class DatabaseUnusable(Exception):
    """The database does not answer, or is none; the message says so as the driver does, without the URL."""


def in_words(error: BaseException) -> str:
    """What a driver says; of a time that is over it says nothing."""
    return str(error) or ("it did not answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
