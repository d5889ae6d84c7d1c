"""A sampler that lies there and does not start is no sampler."""

from pathlib import Path

import pytest

from loadflame.commands.doctor import _sampler


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
