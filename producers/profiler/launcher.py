"""Start a command so that it can be watched: `python -m producers.profiler.launcher -- COMMAND`.

Under Yama's ptrace_scope 1 a sampler may look only into its own descendants, unless the process itself lets others:
it does here, and then becomes the command. Source: prctl(2), PR_SET_PTRACER.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from producers.profiler.errors import TargetError

_PR_SET_PDEATHSIG = 1
_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)
NOT_STARTED = 127
STOP_S = 10.0


def launch(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; its output goes where ours goes. Raises TargetError.

    Our settings stay with us: there are passwords among them, which a service has no use for.
    """
    try:
        return subprocess.Popen(
            # -P: a folder `producers` where the command is to run is none of ours.
            [sys.executable, "-P", "-m", "producers.profiler.launcher", "--", *command],
            env={name: value for name, value in os.environ.items() if not name.startswith("LOADFLAME_")},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,  # our own standard output speaks to whoever started us
            start_new_session=True,
        )
    except OSError as error:
        raise TargetError(f"{command[0]} does not start: {error.strerror}") from error


def end(process: subprocess.Popen[bytes]) -> None:
    """End a launched command: asked first, killed when it does not go."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Let anybody trace this process, tie it to who launched it, then become the command."""
    command = sys.argv[sys.argv.index("--") + 1 :]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)
        # An agent that is killed ends nothing: then the kernel asks the command to go. Survives exec, see prctl(2).
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    try:
        os.execvp(command[0], command)  # noqa: S606  the whole point: no shell, and the same process
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201  there is nobody else to say it
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main()
