"""What a client sent wrongly is not repeated to it: a password in the wrong place must not come back in an error, from
where it would find its way into somebody's log.

GraphQL's own messages about values end with the value, or have it between fixed words; these are the same messages
without it.
"""

import re

_VALUES = [
    # "Value 'X' does not exist in 'Role' enum. Did you mean …": first, since X may look like the fixed words of others,
    # which cut off all that follows, and the other way round that does no harm.
    (re.compile(r"Value .* does not exist in", re.DOTALL), "This value does not exist in"),
    # "Expected value of type 'SignInInput' to include required field 'email', found: {'password': …}."
    (re.compile(r"[,;.] [Ff]ound: .*", re.DOTALL), "."),
    # "String cannot represent a non string value: 1"
    (re.compile(r"(cannot represent [\w -]*value): .*", re.DOTALL), r"\1."),
    # "Syntax Error: Expected Name, found String 'X'.", "Syntax Error: Unexpected Name 'X'."
    (re.compile(r"(found|Unexpected) (\w+) ['\"].*", re.DOTALL), r"\1 \2."),
    # "Syntax Error: Invalid Unicode escape sequence: '\u{X'."
    (re.compile(r"(Invalid (?:Unicode|character) escape sequence): .*", re.DOTALL), r"\1."),
    # "Syntax Error: Invalid number, expected digit before '.', did you mean '0.X'?"
    (re.compile(r", did you mean '0\..*", re.DOTALL), "."),
]


def without_values(message: str) -> str:
    """A message of GraphQL's without what the client sent."""
    for pattern, replacement in _VALUES:
        message = pattern.sub(replacement, message)
    return message
