"""Bridges in: the result files of other load generators become outcomes, and outcomes a run of loadflame.

lines of a file -> one pure parser a tool -> outcomes -> windows -> publisher
                         |
                         +-> tally: what was read, and what was not understood, with examples
"""

from producers.imports.formats import TOOLS, Format, Tool, find_format
from producers.imports.outcome import Dropped, Outcome, Tally, Unknown
from producers.imports.publish import Imported, publish_outcomes
from producers.imports.reading import ImportFileError, open_lines

__all__ = [
    "TOOLS",
    "Dropped",
    "Format",
    "ImportFileError",
    "Imported",
    "Outcome",
    "Tally",
    "Tool",
    "Unknown",
    "find_format",
    "open_lines",
    "publish_outcomes",
]
