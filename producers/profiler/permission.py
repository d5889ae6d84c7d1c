"""Why the kernel does not let us look, and the exact remedy."""

import os
import sys
from pathlib import Path

import psutil

_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
_REMEDIES = {
    "1": "let loadflame start it (-- COMMAND; processes that it forks stay closed), "
    "or run: sudo sysctl kernel.yama.ptrace_scope=0",
    "2": "run: sudo sysctl kernel.yama.ptrace_scope=1, or run loadflame with sudo",
    "3": "kernel.yama.ptrace_scope=3 holds until a restart; set it to 1 in /etc/sysctl.d, and restart",
}
"""By the kernel's ptrace_scope; 0 leaves looking to the process's owner."""


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
    if (scope := _scope()) in _REMEDIES:
        return sentence + _REMEDIES[scope]
    if Path("/.dockerenv").exists() or "container" in os.environ:
        return sentence + "give the container the capability SYS_PTRACE (docker run --cap-add SYS_PTRACE)"
    return sentence + "run loadflame with sudo, or grant it CAP_SYS_PTRACE"
