"""Rules of the house that no linter knows."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "producers", "processors", "sinks", "analysis", "views", "loadflame")
MODULES = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def test_no_module_hides_more_than_four_hundred_lines() -> None:
    assert {path.name: count for path in MODULES if (count := len(path.read_text().splitlines())) > 400} == {}


def test_nothing_is_pickled_and_no_shell_is_asked() -> None:
    for path in MODULES:
        text = path.read_text()
        assert "pickle" not in text, path
        assert "shell=True" not in text, path


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_every_pin_has_a_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    pins = [line for line in text.splitlines() if "==" in line]
    assert pins
    assert all(line.endswith("\\") for line in pins)


def test_no_room_imports_outside_its_extra() -> None:
    """A load host has no store and a profiler host no aiohttp: their commands must import without them."""
    blocked = "import sys; sys.modules.update(dict.fromkeys({!r}))\n"
    heavy = ("clickhouse_connect", "chdb", "faust", "scipy", "prometheus_client")
    cases = {
        heavy: "import producers.load.runner, producers.publisher",
        (*heavy, "aiohttp"): "import producers.profiler.agent, loadflame.cli",
    }
    for missing, statement in cases.items():
        done = subprocess.run(
            [sys.executable, "-c", blocked.format(missing) + statement],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_a_producer_starts_without_pandas() -> None:
    """Arrow looks for it whenever it is given a list, which takes 0.3 s and 50 MB of a load's host."""
    statement = (
        "import sys, schemas.ticks as t; t.tick('requests', 4); t.tick('stacks', 4); sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", statement], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
