"""Documents as large as somebody might send who means no good."""


def many(number: int, text: str) -> str:
    """The text so many times, with its number for #."""
    return " ".join(text.replace("#", str(n)) for n in range(number))


def exponential(levels: int, type_: str = "Query", field: str = "__typename") -> str:
    """2 to the power of so many fields, were they written out."""
    fragments = (f"fragment F{n} on {type_} {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels))
    return f"{{ ...F0 }} {' '.join(fragments)} fragment F{levels} on {type_} {{ {field} }}"


def predecessors(depth: int) -> str:
    """Fields so deep: credentials, nodes, predecessors and a name."""
    return "{ credentials { nodes { " + "predecessor { " * (depth - 3) + "name" + " }" * depth


def in_fragments(depth: int) -> str:
    """As deep, each predecessor in a fragment of its own."""
    last = depth - 3
    fragments = (f"fragment F{n} on Credential {{ predecessor {{ ...F{n + 1} }} }}" for n in range(last))
    return f"{{ credentials {{ nodes {{ ...F0 }} }} }} {' '.join(fragments)} fragment F{last} on Credential {{ name }}"
