"""What every door to the database may say before anything is asked of it."""


class DatabaseUnusable(Exception):
    """The database does not answer, or is none; the message says so as the driver does, without the URL."""
