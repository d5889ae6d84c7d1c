"""Scenarios: async functions of the user's own Python that a plan names as `flow.py:checkout`, loaded by path."""

import importlib.util
import inspect
import re
import sys
import traceback
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from producers.load.plan_errors import PlanError

_FORM = re.compile(r"(?P<file>.+\.py):(?P<function>[A-Za-z_]\w*)")
_OURS = ("schemas", "producers", "processors", "sinks", "analysis", "views", "loadflame")
_MESSAGE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Scenario:
    """A function that is awaited with a `producers.load.scenario_user.User` for each arrival, and where it is from."""

    file: Path
    function: Callable[[Any], Awaitable[object]]

    def error_of(self, raised: BaseException) -> str:
        """What an exception of the function is called: its kind and line, as `scenario: ValueError at flow.py:12`.

        The text of the exception may hold anything of an answer, so it is no part of the name.
        """
        lines = [line for file, line in _lines(raised) if file == str(self.file)]
        place = f" at {self.file.name}:{lines[-1]}" if lines else ""
        return f"scenario: {type(raised).__name__}{place}"


def split_scenario(text: str) -> tuple[Path, str]:
    """File and function of `flow.py:checkout`. Raises ValueError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no scenario; write a file and its async function, as in flow.py:checkout")
    return Path(match["file"]), match["function"]


def load_scenario(text: str) -> Scenario:
    """Import the file of `flow.py:checkout`, once in this process, and find the function.

    Modules beside the file may be imported by it; the standard library, what is installed and loadflame go first.
    Raises PlanError when there is no such file or function, or it does not import, with file and line.
    """
    file, name = split_scenario(text)
    file = file.absolute()
    function = getattr(_module(file), name, None)
    if not inspect.iscoroutinefunction(function):
        raise PlanError(f"scenario {text}: {file.name} has no async function {name}; write `async def {name}(user):`")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        line = function.__code__.co_firstlineno
        raise PlanError(
            f"scenario {text}: {name} at {file.name}:{line} takes other arguments; write `async def {name}(user):`"
        ) from error
    return Scenario(file, function)


def _module(file: Path) -> ModuleType:
    # Registered, for dataclasses look their module up; by path, for two plans may both have a flow.py.
    name = f"loadflame_scenario_{file.stem}_{zlib.crc32(str(file).encode()):08x}"
    if name in sys.modules:
        return sys.modules[name]
    if not file.is_file():
        raise PlanError(f"scenario file {file} is not there; its path is relative to the plan's")
    _refuse_shadows(file.parent)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "a file that ends in .py has a loader"
    assert spec.loader is not None, "and so has its specification"
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PlanError(f"scenario {file} does not import: {_said(file, error)}") from error
    return module


def _refuse_shadows(folder: Path) -> None:
    """A module beside the scenario under a name of ours could not be imported by it, or would take our place."""
    for name in _OURS:
        for place in (folder / f"{name}.py", folder / name / "__init__.py"):
            if place.is_file():
                raise PlanError(
                    f"{place} has the name of a part of loadflame; rename it, or move the scenario to another folder"
                )


def _said(file: Path, error: BaseException) -> str:
    """Kind, text and line of what went wrong in an import, on one line."""
    lines = [f" at {Path(at).name}:{line}" for at, line in _lines(error) if at == str(file)]
    text, place = str(error), lines[-1] if lines else ""
    if isinstance(error, SyntaxError) and error.filename:
        text, place = error.msg, f" at {Path(error.filename).name}:{error.lineno}"
    text = " ".join(text.split())[:_MESSAGE_CHARACTERS]
    return f"{type(error).__name__}{place}{f' ({text})' if text else ''}"


def _lines(error: BaseException) -> list[tuple[str, int]]:
    """Files and lines that an exception came through, outermost first."""
    return [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
