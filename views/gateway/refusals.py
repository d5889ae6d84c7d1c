"""What is answered instead of rows: ClickHouse's code, its text, and the status that its HTTP interface gives them."""

import re

# Numbers and names of ErrorCodes.cpp of ClickHouse, of what the gateway says itself.
NETWORK_ERROR = 210
"""There is no store, or whoever has it does not answer."""
NAMES = {
    36: "BAD_ARGUMENTS",
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    159: "TIMEOUT_EXCEEDED",
    164: "READONLY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    NETWORK_ERROR: "NETWORK_ERROR",
    396: "TOO_MANY_ROWS_OR_BYTES",
    446: "FUNCTION_NOT_ALLOWED",
    516: "AUTHENTICATION_FAILED",
    1002: "UNKNOWN_EXCEPTION",
}
# Source: exceptionCodeToHTTPStatus of ClickHouse; those that it answers by 500 and a client had better not repeat are
# told as what they are.
_STATUSES = {
    400: (6, 7, 26, 27, 36, 38, 41, 43, 53, 62, 72, 73, 115, 117, 130, 131, 160, 386, 456, 457, 637),
    401: (194, 516),
    403: (164, 192, 193, 446, 497),
    404: (16, 46, 47, 60, 81),
    408: (159,),
    413: (158, 307, 396),
    501: (48,),
    503: (202, 209, NETWORK_ERROR, 394, 439),
}
_STATUS = {code: status for status, codes in _STATUSES.items() for code in codes}
_CODE = re.compile(r"Code: (\d+)\.")


class Refusal(Exception):  # noqa: N818  it is answered, not raised at anybody
    """An answer that is no rows. `text` is as ClickHouse writes it; `code` is in it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        """Of the HTTP answer."""
        return _STATUS.get(self.code, 500)


def refusal(code: int, sentence: str) -> Refusal:
    """One of the gateway's own; the sentence says what to do."""
    return Refusal(code, f"Code: {code}. DB::Exception: {sentence}. ({NAMES[code]})")


def refusal_of(text: str, version: str) -> Refusal:
    """What the engine said, with its version behind as a server writes it."""
    found = _CODE.match(text)
    return Refusal(int(found[1]) if found else 1002, f"{text} (version {version})")
