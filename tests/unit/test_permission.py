"""A refusal to look into a process names the exact remedy."""

import os
import re
from pathlib import Path

import pytest

from producers.profiler import permission

NONE, ALL = "0000000000000000", "000001ffffffffff"
ROOT, USER = 0, 1000


def stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scope: str, user: int, capabilities: str, *, container: bool = False
) -> None:
    """The kernel's setting and who we are."""
    (folder / "ptrace_scope").write_text(f"{scope}\n")
    (folder / "status").write_text(f"Name:\tpython\nCapPrm:\t{ALL}\nCapEff:\t{capabilities}\n")
    monkeypatch.setattr(permission, "_YAMA", folder / "ptrace_scope")
    monkeypatch.setattr(permission, "_STATUS", folder / "status")
    monkeypatch.setattr(permission.os, "geteuid", lambda: user)
    monkeypatch.setattr(permission, "_in_container", lambda: container)


@pytest.mark.parametrize(
    ("who", "container", "said"),
    [
        (("0", USER, NONE), False, None),
        (("1", USER, NONE), False, "-- COMMAND.*ptrace_scope=0"),
        (("2", USER, NONE), False, "ptrace_scope=1, or run loadflame with sudo"),
        (("3", USER, NONE), False, "until a restart; set it to 1 in /etc/sysctl.d"),
        (("1", USER, ALL), False, None),
        (("2", ROOT, ALL), False, None),
        (("3", ROOT, ALL), False, "until a restart"),
        (("1", ROOT, NONE), True, "the container the capability.*--cap-add SYS_PTRACE"),
        (("1", ROOT, "00000000a80425fb"), True, "--cap-add SYS_PTRACE"),
        (("1", ROOT, "00000000a80c25fb"), True, None),
        (("0", ROOT, NONE), True, None),
        (("1", ROOT, NONE), False, "grant it CAP_SYS_PTRACE"),
    ],
)
def test_what_is_needed_fits_what_stands_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: tuple[str, int, str], container: bool, said: str | None
) -> None:
    stands(tmp_path, monkeypatch, *who, container=container)
    needed = permission.needed()
    assert needed is said if said is None else re.search(said, needed or ""), needed


@pytest.mark.parametrize(
    ("scope", "user", "said"),
    [
        ("3", os.geteuid(), "until a restart"),
        ("0", os.geteuid(), "grant it CAP_SYS_PTRACE"),
        ("1", os.geteuid() + 12345, "belongs to user .* or with sudo"),
    ],
)
def test_a_refusal_names_the_process_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, user: int, said: str
) -> None:
    stands(tmp_path, monkeypatch, scope, user, ALL)
    sentence = permission.remedy(os.getpid())
    assert sentence.startswith(f"no permission to profile process {os.getpid()}: ")
    assert re.search(said, sentence), sentence


def test_a_process_that_went_away_meanwhile_is_said_to_be_gone() -> None:
    assert "it is gone" in permission.remedy(4_194_000)
