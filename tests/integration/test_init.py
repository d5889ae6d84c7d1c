"""`loadflame init` as a user has it: from a file, from a running service, and every refusal in one sentence."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Response

from producers.load.drafts.document import DOCUMENT_BYTES
from producers.load.plan import load_plan
from tests.support.commands import loadflame
from tests.support.polling import wait_until

LOG = '127.0.0.1 - - [23/Nov/2026:22:25:30 +0000] "GET /items/{} HTTP/1.1" 200 512\n'


@pytest.fixture
def service() -> Iterator[str]:
    """A FastAPI application on loopback."""
    app = FastAPI(title="Tea shop", servers=[{"url": "https://shop.test"}])
    app.add_api_route("/items/{item_id}", lambda item_id: item_id, operation_id="item")
    app.add_api_route("/huge", lambda: Response(b"x" * (DOCUMENT_BYTES + 9)), include_in_schema=False)
    away = Response(status_code=302, headers={"Location": "http://192.0.2.1/openapi.json"})
    app.add_api_route("/away", lambda: away, include_in_schema=False)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started, 60, "the service is up")
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()


def test_a_running_fastapi_service_is_all_that_is_needed(service: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    done = loadflame("init", f"{service}/openapi.json", "--out", str(plan), data_dir=tmp_path / "data")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    read = load_plan(plan)
    assert (read.target, read.service, [r.path for r in read.requests]) == (service, "Tea shop", ["/items/text"])
    assert "note: the document names https://shop.test" in done.stderr
    assert "values are guessed: item_id" in done.stderr


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nowhere?token=hush", "/nowhere answers 404; give the URL of the document itself"),
        ("/items/3", "is not understood; give an OpenAPI document"),
        ("/away", "is on another machine (192.0.2.1)"),
        ("/huge", "is not understood"),
    ],
)
def test_a_url_without_a_document_is_refused(service: str, tmp_path: Path, path: str, said: str) -> None:
    refused("init", service + path, folder=tmp_path, said=said)


def test_a_document_over_the_limit_is_refused(service: str, tmp_path: Path) -> None:
    refused("init", f"{service}/huge", "--from", "k6", folder=tmp_path, said="is over 32 MiB; cut the document")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://192.0.2.1/openapi.json?x=hush", "is on another machine (192.0.2.1); if you may ask it"),
        ("http://127.0.0.1:{port}/openapi.json?x=hush", "cannot be fetched"),
        ("http://me:hush@127.0.0.1:{port}/", "the URL of the document does not fit"),
    ],
)
def test_a_url_that_may_not_or_cannot_be_asked_is_refused_and_not_repeated_whole(
    tmp_path: Path, url: str, said: str
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        refused("init", url.format(port=holder.getsockname()[1]), folder=tmp_path, said=said)


def test_a_log_is_planned_to_standard_output_and_the_notes_are_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("".join(LOG.format(number) for number in (1, 2, 2)) + "hello\n")
    done = loadflame("init", str(tmp_path / "access.log"), "--service", "shop", data_dir=tmp_path / "data")
    (tmp_path / "plan.yaml").write_text(done.stdout)
    plan = load_plan(tmp_path / "plan.yaml")
    assert (plan.service, plan.requests[0].path, plan.requests[0].weight) == ("shop", "/items/2", 3)
    assert "note: 1 line not understood\n" in done.stderr


def test_a_source_may_be_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(LOG.format(3)))
    writer.start()
    done = loadflame("init", str(pipe), data_dir=tmp_path / "data")
    writer.join()
    assert "/items/3" in done.stdout, done.stderr


def test_a_plan_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(LOG.format(1))
    plan = tmp_path / "plan.yaml"
    plan.write_text("mine")
    call = ("init", str(tmp_path / "access.log"), "--out", str(plan))
    refused(*call, folder=tmp_path, said="plan.yaml is there already; give another --out, or --force")
    assert plan.read_text() == "mine"
    assert loadflame(*call, "--force", data_dir=tmp_path / "data").returncode == 0
    assert load_plan(plan).requests[0].name == "GET /items/{id}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.json",), "nowhere.json cannot be read (No such file or directory); check its name and rights"),
        ((".",), ". cannot be read (Is a directory)"),
        (("{log}", "--out", "/nowhere/plan.yaml"), "/nowhere/plan.yaml cannot be written (No such file or directory)"),
        (("{log}", "--target", "shop"), "target: 'shop' is no base URL"),
        (("{log}", "--from", "har"), "is no JSON or YAML"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    log = tmp_path / "access.log"
    log.write_text("[" * 200 + LOG.format(1))
    refused("init", *(argument.format(log=log) for argument in arguments), folder=tmp_path, said=said)


def test_a_terminal_is_not_told_what_to_do_by_a_document(tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    paths = {"/{p}": {"get": {"operationId": "a\x1b[2J", "parameters": [{"in": "path", "name": "\x1b[31mp"}]}}}
    document.write_text(json.dumps({"openapi": "3.1.0", "info": {"title": "\x1b]0;x\x07"}, "paths": paths}))
    done = loadflame("init", str(document), data_dir=tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def refused(*arguments: str, folder: Path, said: str) -> None:
    done = loadflame(*arguments, data_dir=folder / "data")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert "hush" not in done.stderr
    assert "Traceback" not in done.stderr
