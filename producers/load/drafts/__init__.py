"""Plans for those who have none: requests out of an OpenAPI document, a HAR file, an access log or a k6 script.

Each reader is pure: a document in, a `Draft` out. `fetch` is the one part that speaks to a network.
"""

from producers.load.drafts.draft import Draft, DraftError, Kind, SeenRate
from producers.load.drafts.kinds import draft_from
from producers.load.drafts.planned import planned

__all__ = ["Draft", "DraftError", "Kind", "SeenRate", "draft_from", "planned"]
