"""What `doctor` says of samplers that do not start, and of a kernel that lets nobody look."""

from pathlib import Path

import pytest

from loadflame.commands.doctor import _permission, _sampler
from loadflame.settings import Settings
from producers.profiler import permission


@pytest.mark.parametrize(
    ("script", "state", "found"),
    [
        ("echo 'austin 4.0.0'", "ok", "austin 4.0.0"),
        ("echo 'GLIBC_2.38 not found' >&2; exit 1", "warning", "does not start: GLIBC_2.38 not found"),
        ("exit 127", "warning", "does not start: no word"),
    ],
)
def test_what_a_sampler_answers_is_looked_at(tmp_path: Path, script: str, state: str, found: str) -> None:
    path = tmp_path / "austin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    diagnosis = _sampler("austin", str(path))
    assert (diagnosis.state, diagnosis.found) == (state, found)


def test_what_cannot_be_executed_is_said(tmp_path: Path) -> None:
    diagnosis = _sampler("austin", str(tmp_path))
    assert diagnosis.state == "warning"
    assert "Permission denied" in diagnosis.found


@pytest.mark.parametrize(
    ("scope", "needed", "state"),
    [("0", None, "ok"), ("1", "start it", "warning"), ("2", "as root", "problem"), ("3", "restart", "problem")],
)
def test_a_kernel_that_lets_nobody_look_is_a_problem_and_one_that_lets_a_parent_a_warning(
    monkeypatch: pytest.MonkeyPatch, scope: str, needed: str | None, state: str
) -> None:
    monkeypatch.setattr(permission, "scope", lambda: scope)
    monkeypatch.setattr(permission, "needed", lambda: needed)
    found = next(_permission(Settings()))
    assert (found.state, found.remedy) == (state, needed or "")
