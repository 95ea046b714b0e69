"""shim"""


def section_label(n: str) -> str:
    """."""
    return n


def field_label(p: str) -> str:
    """."""
    return p


def value_label(p: str, v: str) -> str:
    """."""
    return v


def hint_of(p: str) -> str | None:
    """."""
    return None
