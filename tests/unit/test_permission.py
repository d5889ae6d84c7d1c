"""A refusal to look into a process names the exact remedy."""

import os
import re
from pathlib import Path

import pytest

from producers.profiler import permission


@pytest.mark.parametrize(
    ("scope", "user", "said"),
    [
        ("1", os.geteuid(), "-- COMMAND.*ptrace_scope=0"),
        ("2", os.geteuid(), "ptrace_scope=1, or run loadflame with sudo"),
        ("3", os.geteuid(), "until a restart; set it to 1 in /etc/sysctl.d"),
        ("0", os.geteuid(), "CAP_SYS_PTRACE|SYS_PTRACE"),
        ("1", os.geteuid() + 12345, "belongs to user .* or with sudo"),
    ],
)
def test_the_remedy_fits_what_stands_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, user: int, said: str
) -> None:
    yama = tmp_path / "ptrace_scope"
    yama.write_text(f"{scope}\n")
    monkeypatch.setattr(permission, "_YAMA", yama)
    monkeypatch.setattr(permission.os, "geteuid", lambda: user)
    sentence = permission.remedy(os.getpid())
    assert sentence.startswith(f"no permission to profile process {os.getpid()}: ")
    assert re.search(said, sentence), sentence


def test_a_process_that_went_away_meanwhile_is_said_to_be_gone() -> None:
    assert "it is gone" in permission.remedy(4_194_000)
