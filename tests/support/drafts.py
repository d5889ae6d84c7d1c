"""Documents as `loadflame init` gets them."""

import io

from producers.load.drafts import Draft, Kind, draft_from


def drafted(text: str | bytes, kind: Kind | None = None, *, all_methods: bool = False) -> Draft:
    """The draft of a document that is a text."""
    data = text.encode() if isinstance(text, str) else text
    return draft_from(io.BufferedReader(io.BytesIO(data), 1 << 16), kind, all_methods=all_methods)
