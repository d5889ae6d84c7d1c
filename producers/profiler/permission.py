"""Why the kernel does not let us look, and the exact remedy."""

import os
import sys
from pathlib import Path

import psutil

_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def refused(pid: int) -> bool:
    """Whether the kernel would refuse a sampler that we start: a look at the memory is what both samplers need."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))
    except PermissionError:
        return True
    except OSError:
        return False
    # A sampler is our child and no ancestor of the service, which is what ptrace_scope 1 asks for; we may be.
    return _scope() != "0" and os.geteuid() != 0


def _scope() -> str:
    return _YAMA.read_text().strip() if _YAMA.exists() else "0"


def remedy(pid: int) -> str:
    """One sentence for a refusal to look into `pid`."""
    sentence = f"no permission to profile process {pid}: "
    try:
        owner = psutil.Process(pid).uids().real
    except psutil.Error:
        return sentence + "it is gone, or hidden from this user"
    if os.geteuid() not in (0, owner):
        return sentence + f"it belongs to user {owner}; run loadflame as that user, or with sudo"
    scope = _scope()
    if scope == "1":
        return sentence + (
            "let loadflame start it (-- COMMAND; processes that it forks stay closed), "
            "or run: sudo sysctl kernel.yama.ptrace_scope=0"
        )
    if scope != "0":
        return (
            sentence
            + "run loadflame with sudo, or: sudo sysctl kernel.yama.ptrace_scope=0 (from 3 after a restart only)"
        )
    if Path("/.dockerenv").exists() or "container" in os.environ:
        return sentence + "give the container the capability SYS_PTRACE (docker run --cap-add SYS_PTRACE)"
    return sentence + "run loadflame with sudo, or grant it CAP_SYS_PTRACE"
