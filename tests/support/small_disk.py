"""A disk that can be filled without harm: a file system of its own, in memory."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


def fill(file: Path) -> None:
    """Write until there is no room."""
    with file.open("wb", buffering=0) as ballast:
        for size in (1 << 20, 4096):
            try:
                while ballast.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


@asynccontextmanager
async def small_disk(mib: int) -> AsyncIterator[Path]:
    """A file system of so many MiB. Raises PermissionError where none may be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="loadflame-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    done = await asyncio.to_thread(subprocess.run, mount, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder)
        raise PermissionError(f"a small disk needs the right to mount one: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", str(folder)], check=True)
        shutil.rmtree(folder)
