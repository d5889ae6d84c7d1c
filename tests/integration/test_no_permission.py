"""A process that the kernel does not let us look into: one sentence with the remedy, exit code 2, nothing sent.

The target has made itself undumpable, as programs with secrets do, so only CAP_SYS_PTRACE opens it; where the tests run
as root, loadflame is started without its capabilities, as in a container.
"""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from loadflame.demo import sample_shop
from tests.support.brokers import Broker
from tests.support.commands import environment_of, loadflame
from tests.support.targets import target

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(sys.platform != "linux", reason="what closes a process here is Linux's"),
]
CLOSED = """
import ctypes, signal
PR_SET_DUMPABLE = 4
assert ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
print('up', flush=True)
signal.pause()
"""

WITHOUT_CAPABILITIES = """
import ctypes, os, sys
PR_CAPBSET_DROP = 24
for capability in range(64):  # of those that do not exist, or are not ours to drop, the kernel says so
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, '-m', 'loadflame', *sys.argv[1:]])
"""


@pytest.fixture
def closed_process() -> Iterator[int]:
    """The pid of a Python process that may not be looked into."""
    with target(CLOSED) as process:
        yield process.pid


def without_capabilities(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of ours without the rights that root has."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_CAPABILITIES, *arguments],
        env=environment_of(data_dir),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], pid: int) -> None:
    assert done.returncode == 2, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("loadflame: ")]
    assert "Traceback" not in done.stderr
    assert said.startswith(f"loadflame: no permission to profile process {pid}: ")
    assert "SYS_PTRACE" in said or "sudo" in said


@pytest.mark.parametrize("backend", ["austin", "py-spy"])
def test_the_agent_says_what_to_do(tmp_path: Path, closed_process: int, tansu_broker: Broker, backend: str) -> None:
    arguments = ("--run", "r", "--backend", backend, "--broker", tansu_broker.bootstrap)
    done = without_capabilities("profile", *arguments, "--pid", str(closed_process), data_dir=tmp_path)
    refused(done, closed_process)
    assert done.stdout == "", "it was never ready"


def test_a_run_says_what_to_do_and_sends_nothing(tmp_path: Path, closed_process: int) -> None:
    with sample_shop() as (url, _):
        plan = {
            "target": url,
            "stages": [{"name": "hold", "hold": 5, "for": "1s"}],
            "requests": [{"name": "search", "path": "/search?q=tea"}],
        }
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
        done = without_capabilities(
            "run", str(tmp_path / "plan.yaml"), "--pid", str(closed_process), data_dir=tmp_path / "data"
        )
        counted = json.load(urllib.request.urlopen(f"{url}/counts"))["requests"]
    refused(done, closed_process)
    assert counted == 0
    assert "no runs yet" in loadflame("report", data_dir=tmp_path / "data").stderr
