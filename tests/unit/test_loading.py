"""Libraries are told how to keep memory as they are loaded, and nobody else is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.loading import load_told

TOLD = "LIBRARY_OF_A_TEST"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A library that reads its variable once; its name."""
    name = f"library_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(f"import os\nTOLD = os.environ.get({TOLD!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(TOLD, raising=False)
    return name


def test_a_library_is_told_and_the_environment_stays_as_it_was(library: str) -> None:
    before = dict(os.environ)
    assert load_told(library, TOLD, "ours").TOLD == "ours"
    assert dict(os.environ) == before


def test_what_somebody_else_said_is_not_overruled(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOLD, "theirs")
    assert load_told(library, TOLD, "ours").TOLD == "theirs"
    assert os.environ[TOLD] == "theirs"


def test_what_is_loaded_already_stays_as_it_is(library: str) -> None:
    first = load_told(library, TOLD, "ours")
    assert load_told(library, TOLD, "later") is first
    assert first.TOLD == "ours"


def test_of_a_library_that_cannot_be_loaded_nothing_is_left(library: str, tmp_path: Path) -> None:
    (tmp_path / f"{library}.py").write_text("import a_module_that_is_not_there\n")
    with pytest.raises(ImportError):
        load_told(library, TOLD, "ours")
    assert TOLD not in os.environ


ROLE = """
import sys
from loadflame.cli import main
assert "pyarrow" not in sys.modules, "whoever loads it first says whose memory it takes"
try:
    main()
except SystemExit:
    print(sys.modules["pyarrow"].default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(
    "role", [("process",), ("load", "no-such-plan.yaml"), ("profile", "--run", "r", "--pid", "999999999")]
)
def test_all_of_arrow_s_memory_is_the_c_library_s_in_a_role_that_goes_on_for_days(
    role: tuple[str, ...], tmp_path: Path
) -> None:
    unset = {"LOADFLAME_BROKER", "ARROW_DEFAULT_MEMORY_POOL"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    command = [sys.executable, "-c", ROLE, *role]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["system"], done.stderr
