"""What has happened in this process since it started, in plain numbers: whoever wants to know makes metrics of them."""

from collections import Counter


class Counts:
    """Kinds of things are few and fixed: nothing here is named by who asks."""

    __slots__ = ("_other_checks", "events", "let_in_from_memory", "logins", "throttled")

    def __init__(self) -> None:
        # Most checks by far, so that it is a number of its own.
        self.let_in_from_memory = 0
        self._other_checks: Counter[tuple[str, bool]] = Counter()
        self.events: Counter[str] = Counter()
        """What was recorded in the audit log, by its type; also where the change then failed, which is rare."""
        self.throttled: Counter[str] = Counter()
        """Tries that were not made since there had been too many in vain, by their kind."""
        self.logins = 0
        """Access tokens that were issued."""

    def check(self, code: str, *, from_memory: bool) -> None:
        """A decision on a credential other than to let it in from memory."""
        self._other_checks[code, from_memory] += 1

    @property
    def checks(self) -> dict[tuple[str, bool], int]:
        """Decisions by their code, and whether what they took was remembered."""
        return {**self._other_checks, ("OK", True): self.let_in_from_memory}
