"""Libraries that read a variable of the environment once, as they are loaded."""

import os
import sys
from importlib import import_module
from threading import Lock
from types import ModuleType

ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL", "system"
"""What Arrow is told in a role that goes on for days: see `load_arrow`."""
_LOADING = Lock()


def load_told(module: str, variable: str, value: str) -> ModuleType:
    """Import `module`, which is told `value` by `variable`; what is loaded already, or told otherwise, stays as it is.

    The variable is taken back: a service that we start may have that library as well, and is not told. Raises
    ImportError.
    """
    with _LOADING:
        ours = module not in sys.modules and variable not in os.environ
        if ours:
            os.environ[variable] = value
        try:
            return import_module(module)
        finally:
            if ours:
                del os.environ[variable]


def load_arrow() -> None:
    """Load Arrow for a role that goes on for days: all of its memory is the C library's, which we have given back.

    Its own allocator keeps what it had at its fullest, a tenth of a worker's memory after an outage, and has a heap for
    each thread that ever called it. What is set later (`pyarrow.set_memory_pool`) binds the calls from Python only.
    Source: Arrow's documentation of environment variables.
    """
    load_told("pyarrow", *ARROW_POOL)
