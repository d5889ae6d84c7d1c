"""Secrets from files: passwords stand in no command line, which everybody on the machine can read."""

from pathlib import Path

from schemas.errors import UserError

_REMEDY = "write the password into it and nothing else"


def read_secret(path: Path, named_by: str) -> str:
    """The text of a file without the line's end. Raises UserError, which says what had named the file."""
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise UserError(
            f"{named_by}: {path} cannot be read ({error.strerror}); name another file, or mend its rights"
        ) from error
    except UnicodeDecodeError:
        # Without its cause, which holds the bytes.
        raise UserError(f"{named_by}: {path} is no text in UTF-8; {_REMEDY}") from None
    if not secret:
        raise UserError(f"{named_by}: {path} is empty; {_REMEDY}")
    return secret
