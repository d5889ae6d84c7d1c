"""clickhouse-go, the client of Grafana's data source, as a small program that tests ask through."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parent / "clickhouse_go"
CACHE = Path(__file__).parents[2] / ".cache"
BUILD_S = 600.0


def go_client() -> Path:
    """The program, built unless it is there; half a minute of CPU the first time. Skips without Go, except in CI."""
    digest = sha256(b"".join((SOURCES / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))).hexdigest()[
        :16
    ]
    program = CACHE / f"clickhouse-go-{digest}"
    if program.exists():
        return program
    go = shutil.which("go", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin")
    if go is None:
        why = "a client in Go needs `go`, which is neither on the path nor where go.dev has it"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "clickhouse-go.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not program.exists():
            fresh = program.with_suffix(".new")
            # It need not be fast, so it is compiled fast: in three fifths of the time.
            subprocess.run(
                [go, "build", "-gcflags=all=-l -dwarf=false", "-ldflags=-s -w", "-o", str(fresh), "."],
                cwd=SOURCES,
                env=os.environ | {"CGO_ENABLED": "0"},
                timeout=BUILD_S,
                check=True,
            )
            fresh.rename(program)
    return program


class GoClient:
    """A connection that has said hello and was pinged."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, sql: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Columns, types and rows, or error and code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"sql": sql, "parameters": parameters}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        assert answer, "the client ended"
        return answer


@contextmanager
def asking(port: int, *, token: str, database: str = "loadflame", compression: str = "gzip") -> Iterator[GoClient]:
    """A client of a gateway on loopback."""
    command = [str(go_client()), f"127.0.0.1:{port}", database, token, compression]
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield GoClient(process)
        process.communicate()
    assert process.returncode == 0


if __name__ == "__main__":  # before the tests, whose time is bounded
    with contextlib.suppress(pytest.skip.Exception):
        go_client()
