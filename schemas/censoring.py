"""Which outcomes are right-censored: the true latency is known to be longer than the request was waited for.

No answer came (`status` 0), or none that was whole within the plan's timeout, however good its head was: then the
status is that of the head. A scenario names the step that timed out: `step pay: timeout`.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TIMEOUT = "timeout"
"""The name of this error; see `producers.load.outcomes`."""
UNANSWERED_SQL = (
    f"(status = 0 OR error = '{TIMEOUT}' OR (startsWith(error, 'step ') AND endsWith(error, ': {TIMEOUT}')))"
)
"""The same of a row of the view `requests`."""


def is_timeout(error: str) -> bool:
    """Whether the name of an error says that an answer was waited for in vain."""
    return error == TIMEOUT or (error.startswith("step ") and error.endswith(f": {TIMEOUT}"))


def unanswered(rows: pa.RecordBatch) -> NDArray[np.bool_]:
    """Which rows of `schemas.rows.REQUESTS` are censored; shape (rows,)."""
    errors = rows["error"]
    names = errors.dictionary.to_pylist()
    timed_out = np.array([*map(is_timeout, names), False], np.bool_)
    codes = errors.indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.asarray((rows["status"].to_numpy() == 0) | timed_out[codes])
