"""`loadflame middleware`: the file by which a service tells of its own requests."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserError


class MiddlewareFileError(UserError):
    """The file cannot be written."""


def middleware(
    out: Annotated[
        Path | None, typer.Option(help="Where to write it. [dim](default: standard output)[/]", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Print the middleware, one Python file of the standard library alone, to be copied beside a service.

    [bold]loadflame middleware --out loadflame_middleware.py[/], then `app = LoadflameASGI(app)` for FastAPI and other
    ASGI applications, `app.wsgi_app = LoadflameWSGI(app.wsgi_app)` for Flask. As long as nobody listens it does
    nothing; [bold]loadflame observe --socket PATH[/] listens. It never waits for anybody, and never raises into the
    service.
    """
    text = files("producers.context").joinpath("loadflame_middleware.py").read_text(encoding="utf-8")
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        with out.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise MiddlewareFileError(f"{out} is there already; give another --out, or --force to overwrite it") from None
    except OSError as error:
        raise MiddlewareFileError(f"{out} cannot be written ({error.strerror}); give another --out") from None
    typer.echo(f"wrote {out}; wrap the application in it, and watch with: loadflame observe --socket PATH", err=True)
