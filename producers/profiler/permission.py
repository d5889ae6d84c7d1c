"""Why the kernel does not let us look, and the exact remedy."""

import os
from pathlib import Path

import psutil

_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def remedy(pid: int) -> str:
    """One sentence for a refusal to look into `pid`."""
    refused = f"no permission to profile process {pid}: "
    try:
        owner = psutil.Process(pid).uids().real
    except psutil.Error:
        return refused + "it is gone, or hidden from this user"
    if os.geteuid() not in (0, owner):
        return refused + f"it belongs to user {owner}; run loadflame as that user, or with sudo"
    scope = _YAMA.read_text().strip() if _YAMA.exists() else "0"
    if scope == "1":
        return refused + "let loadflame start it (-- COMMAND), or run: sudo sysctl kernel.yama.ptrace_scope=0"
    if scope != "0":
        return refused + "run: sudo sysctl kernel.yama.ptrace_scope=1, or run loadflame with sudo"
    if Path("/.dockerenv").exists() or "container" in os.environ:
        return refused + "give the container the capability SYS_PTRACE (docker run --cap-add SYS_PTRACE)"
    return refused + "run loadflame with sudo, or grant it CAP_SYS_PTRACE"
