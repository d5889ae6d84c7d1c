"""Why the kernel does not let us look, and the exact remedy."""

import os
import re
import sys
from pathlib import Path

_YAMA, _STATUS = Path("/proc/sys/kernel/yama/ptrace_scope"), Path("/proc/self/status")
_SYS_PTRACE = 1 << 19
"""Its bit among a process's capabilities (capabilities(7), linux/capability.h)."""
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
    return scope() != "0" and os.geteuid() != 0


def scope() -> str:
    """The kernel's ptrace_scope; "1" leaves looking to whoever started the process, "2" and "3" to hardly anybody."""
    return _YAMA.read_text().strip() if _YAMA.exists() else "0"


def remedy(pid: int) -> str:
    """One sentence for a refusal to look into `pid`."""
    import psutil  # noqa: PLC0415  what is `needed` is asked where it is not installed

    sentence = f"no permission to profile process {pid}: "
    try:
        owner = psutil.Process(pid).uids().real
    except psutil.Error:
        return sentence + "it is gone, or hidden from this user"
    if os.geteuid() not in (0, owner):
        return sentence + f"it belongs to user {owner}; run loadflame as that user, or with sudo"
    return sentence + (needed() or _capability())


def needed() -> str | None:
    """What must be done before processes of this user can be watched that we did not start; None when they can."""
    if (found := scope()) == "3":
        return _REMEDIES[found]
    if found == "0" or _may_trace():
        return None
    # Root without the capability is what a container has by itself, and there no sysctl can be set.
    return _capability() if os.geteuid() == 0 else _REMEDIES.get(found)


def _may_trace() -> bool:
    held = re.search(r"^CapEff:\s*([0-9a-f]+)$", _STATUS.read_text(), re.MULTILINE) if _STATUS.exists() else None
    return bool(int(held[1], 16) & _SYS_PTRACE) if held else os.geteuid() == 0


def _in_container() -> bool:
    return Path("/.dockerenv").exists() or "container" in os.environ


def _capability() -> str:
    if _in_container():
        return "give the container the capability SYS_PTRACE (docker run --cap-add SYS_PTRACE)"
    return "run loadflame with sudo, or grant it CAP_SYS_PTRACE"
