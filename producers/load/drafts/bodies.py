"""Bodies that were recorded, as a plan may hold them: JSON and forms, without secrets."""

import json
import re
from dataclasses import dataclass

from producers.load.drafts.document import as_json, as_text
from producers.load.drafts.secrets import Redactor, plain_json

FORM = "application/x-www-form-urlencoded"
BODY_LENGTH = 64 << 10


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a body and whether it is JSON."""

    text: str
    is_json: bool


def recorded_body(text: str, media_type: str, redactor: Redactor) -> Body | None:
    """A body without its secrets; None when it is too large or of a kind in which secrets cannot be found."""
    media = media_type.partition(";")[0].strip().lower()
    if len(text) > BODY_LENGTH:
        return None
    if media == FORM:
        return Body(redactor.form(as_text(text)), is_json=False)
    if media and not re.fullmatch(r"application/json|.*\+json|text/plain", media):
        return None
    try:
        value = redactor.json(as_json(plain_json(text)))
    except ValueError:
        return None
    # A plan tells `json: null` from no body no more than YAML does, so null stays text.
    return Body(json.dumps(value, ensure_ascii=False), is_json=value is not None)
