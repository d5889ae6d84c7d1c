"""Somebody else's text on a terminal of ours."""


def plain(text: str) -> str:
    """Text whose unprintable characters are written out: nothing that moves a cursor."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
