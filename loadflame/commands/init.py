"""`loadflame init`: a plan from what a service already has: an OpenAPI document, a HAR file, a log, a k6 script."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from loadflame.commands.common import AllowHost, run_until_stopped
from loadflame.settings import read_settings
from schemas.errors import UserError

if TYPE_CHECKING:
    from producers.load.drafts import Draft, Kind


class InitError(UserError):
    """The source cannot be read, or the plan not written; one sentence with the remedy."""


def init(
    source: Annotated[
        str, typer.Argument(help="OpenAPI document (file, or URL on this machine), HAR file, access log or k6 script.")
    ],
    out: Annotated[Path | None, typer.Option(help="Where to write the plan; default: standard output.")] = None,
    target: Annotated[str | None, typer.Option(help="Base URL of the service; default: what the source names.")] = None,
    service: Annotated[str | None, typer.Option(help="What the service is called in reports.")] = None,
    kind: Annotated[
        Literal["openapi", "har", "log", "k6"] | None, typer.Option("--from", help="Kind; default: by the content.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also requests that may change state, like POST.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file that --out names.")] = False,
    allow_host: AllowHost = None,
) -> None:
    """Write a plan from an OpenAPI document, a HAR file, an access log or a k6 script.

    What was left out or guessed is said on standard error. Secrets do not get into the plan.
    """
    from producers.load.drafts import planned

    draft, origin = _drafted(source, kind, allow_host, all_methods=everything)
    plan, notes = planned(draft, target=target, service=service, origin=origin)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    _write(plan.to_yaml(), out, force=force)


def _drafted(source: str, kind: Kind | None, allow_host: list[str] | None, *, all_methods: bool) -> tuple[Draft, str]:
    """The draft, and the origin that it was fetched from ("" for a file)."""
    from producers.load.drafts import DraftError, draft_from

    origin = ""
    try:
        if source.startswith(("http://", "https://")):
            origin, reader = _fetched(source, allow_host)
        else:
            reader = io.BufferedReader(Path(source).open("rb", buffering=0), 1 << 16)  # noqa: SIM115  closed below
        with reader:
            return draft_from(reader, kind, all_methods=all_methods), origin
    except OSError as error:
        raise InitError(f"{source} cannot be read ({error.strerror}); check its name and rights") from error
    except DraftError as error:
        raise InitError(f"{source.partition('?')[0]} {error}") from error


def _fetched(url: str, allow_host: list[str] | None) -> tuple[str, io.BufferedReader]:
    from producers.load.drafts.fetch import fetched, origin_of

    settings = read_settings(allow_hosts=tuple(allow_host) if allow_host else None)
    data = run_until_stopped(lambda _: fetched(url, settings.allow_hosts))
    return origin_of(url), io.BufferedReader(io.BytesIO(data), 1 << 16)


def _write(text: str, out: Path | None, *, force: bool) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        with out.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InitError(f"{out} is there already; give another --out, or --force to overwrite it") from error
    except OSError as error:
        raise InitError(f"{out} cannot be written ({error.strerror}); give another --out") from error
    typer.echo(f"wrote {out}; run it with: loadflame run {out} --pid PID", err=True)
