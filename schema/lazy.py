"""Objects whose plain fields are found out when they are asked for: of all that a row could show, most is not."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar


class Lazy:
    """`FIELDS` says for each plain field, by its attribute, how it follows from the object."""

    FIELDS: ClassVar[Mapping[str, Callable[[Any], Any]]]

    def __getattr__(self, name: str) -> Any:
        find_out = type(self).FIELDS.get(name)
        if find_out is None:
            raise AttributeError(name)
        value = self.__dict__[name] = find_out(self)
        return value
