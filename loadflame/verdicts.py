"""What a verdict means to a shell or a CI job."""

from typing import Final

EXIT_CODES: Final = {
    "passed": 0,
    "failed": 1,
    "inconclusive": 3,
    "generator-limited": 3,
    "host-limited": 3,
    "aborted": 130,
}


def exit_code(verdict: str) -> int:
    """0 passed, 1 a threshold failed, 3 the result may not be judged, 130 ended by Ctrl-C."""
    return EXIT_CODES[verdict]
