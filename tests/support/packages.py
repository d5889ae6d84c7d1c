"""Install pinned packages into this environment: `python -m tests.support.packages requirements/dev.txt`.

By uv, which is one of them and takes a third of pip's time. It does not read what pip is set to, so it is told; where
pip is set to something that uv has no name for here, or uv fails, pip does it. What uv is told it gets by environment:
an index may have a password in its URL, and everybody can read a command line. Most modules of these packages are never
imported; whoever imports one compiles it. Needs nothing but pip.
"""

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

PINNED = ("--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:")
PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", *PINNED)
_AS_UV = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "cert": ("SSL_CERT_FILE", " "),
}
_PIP_ALONE = frozenset({"no-index", "proxy", "client-cert", "trusted-host", "constraint"})


def uv_environment(listed: str) -> dict[str, str] | None:
    """What uv is to be told, of what `pip config list` says; None where that is for pip alone.

    Of one setting the environment counts more than the section `install`, and that more than `global`.
    """
    settings: dict[str, str] = {}
    lines = [line.partition("=") for line in listed.splitlines() if "=" in line]
    for section in ("global.", "install.", ":env:."):
        settings |= {
            name.removeprefix(section): str(ast.literal_eval(value))
            for name, _, value in lines
            if name.startswith(section)
        }
    if _PIP_ALONE & settings.keys():
        return None
    return {variable: by.join(settings[name].split()) for name, (variable, by) in _AS_UV.items() if name in settings}


def pins_of(package: str, pinned: str) -> str:
    """The lines of one package, of a file of pins."""
    lines = iter(pinned.splitlines())
    mine = [next(line for line in lines if line.startswith(f"{package}=="))]
    while mine[-1].endswith("\\"):
        mine.append(next(lines))
    return "\n".join(mine) + "\n"


def by_uv(pinned: Path, environment: Mapping[str, str]) -> bool:
    """Whether uv installed all of it."""
    with tempfile.TemporaryDirectory() as folder:
        only_uv = Path(folder, "uv.txt")
        only_uv.write_text(pins_of("uv", pinned.read_text()))
        if subprocess.run([*PIP, "-r", str(only_uv)], check=False).returncode:
            return False
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--python", sys.executable, *PINNED, "-r", str(pinned)]
    return subprocess.run(command, env={**environment, **os.environ}, check=False).returncode == 0


def main() -> int:
    """The exit code of who did it at last."""
    pinned = Path(sys.argv[1])
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    environment = uv_environment(listed.stdout)
    if environment is not None:
        if by_uv(pinned, environment):
            return 0
        sys.stderr.write("uv could not, so pip does it.\n")
    return subprocess.run([*PIP, "-r", str(pinned)], check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
