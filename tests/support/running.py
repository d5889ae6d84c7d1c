"""`loadflame run` and `observe`, as a test starts them, looks on and breaks them off."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import yaml

from loadflame.demo import demo_plan
from tests.support.commands import environment_of
from tests.support.forked import Forked, pipe

T = TypeVar("T")
END_S = 60.0


def plan_file(folder: Path, url: str, pid: int, **changes: object) -> Path:
    plan = demo_plan(url).model_dump(mode="json", exclude_none=True, exclude_defaults=True, by_alias=True)
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan | {"profile": {"pid": pid}} | changes))
    return path


def run_and(
    act: Callable[[psutil.Process], None],
    plan: Path,
    *arguments: str,
    data_dir: Path,
    when: str = "achieved",
    look: Callable[[str], None] | None = None,
) -> tuple[int, str]:
    """Run a plan, act on the command once it says `when` (the first window of its load); exit code and all it said.

    `look` gets the address of the run's page before, which is served for it.
    """
    environment = environment_of(data_dir, LOADFLAME_WEB="0" if look is None else "1")
    told, writing = pipe()
    process = Forked(("run", str(plan), *arguments), environment, writing, writing)
    writing.close()
    said = []
    try:
        for line in told:
            said.append(line)
            if when in line:
                if look is not None:
                    look(re.findall(r"the page: (\S+)", "".join(said))[0])
                act(psutil.Process(process.pid))
                break
        said.append(told.read())
        code = process.code(END_S)
    finally:
        told.close()
        process.kill()
    assert code is not None, "".join(said)
    return code, "".join(said)


def observe_while(traffic: Callable[[], T], *arguments: str, folder: Path) -> tuple[dict[str, Any], T]:
    """`loadflame observe` from before the traffic until Ctrl-C behind it; its report, and what `traffic` gave."""
    out = folder / "out"
    told, writing = pipe()
    process = Forked(("observe", *arguments, "--json"), environment_of(folder / "data"), out, writing)
    writing.close()
    said = []
    try:
        for line in told:
            said.append(line)
            if "watching" in line:
                break
        found = traffic()
        os.kill(process.pid, signal.SIGINT)
        said.append(told.read())
        code = process.code(END_S)
    finally:
        told.close()
        process.kill()
    assert code in (0, 3), "".join(said)  # 3: a busy machine may make the run host-limited
    report: dict[str, Any] = json.loads(out.read_text())
    return report, found


def assert_committed(told: str) -> None:
    """The run itself looked at its topics, which are gone with the embedded broker."""
    assert re.search(r"^I4 +holds +[1-9]\d* batches lie below", told, re.MULTILINE), told
