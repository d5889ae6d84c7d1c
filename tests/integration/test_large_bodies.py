"""Large payloads: every byte is sent, drained and counted, and none is held."""

from pathlib import Path

import pytest

from benchmarks.large_bodies import measure, service
from producers.load.bodies import LargeBody
from producers.load.engine import choose_engine
from producers.load.plan import Plan
from producers.load.plan_errors import PlanError
from producers.load.prepared import prepared_requests

SIZE = 96 << 20
HELD_AT_MOST = 48 << 20


@pytest.mark.parametrize(("kind", "engine"), [("upload", "aiohttp"), ("download", "aiohttp"), ("download", "wire")])
async def test_a_body_larger_than_what_memory_grows_by(kind: str, engine: str) -> None:
    with service() as url:
        figures = await measure(url, SIZE, 2, kind, engine)
    assert (figures.totals.completed, figures.totals.failed) == (2, 0)
    moved = figures.sent_bytes if kind == "upload" else figures.received_bytes
    assert 2 * SIZE < moved < 2 * SIZE + 2_000
    assert figures.grown_bytes < HELD_AT_MOST


async def test_a_body_from_a_file_is_that_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3_000
    (tmp_path / "body.bin").write_bytes(content)
    body = LargeBody(len(content), tmp_path / "body.bin")
    assert b"".join([piece async for piece in body.pieces()]) == content


@pytest.mark.parametrize("size", [0, 1, 256 << 10, (256 << 10) + 1])
async def test_a_made_up_body_has_its_size(size: int) -> None:
    assert sum([len(piece) async for piece in LargeBody(size).pieces()]) == size


def plan_with(**request: object) -> Plan:
    requests = [{"name": "put", "method": "PUT", "path": "/"} | request]
    stages = [{"name": "s", "hold": 1, "for": "1s"}]
    return Plan.model_validate({"target": "http://127.0.0.1:1", "stages": stages, "requests": requests})


def test_a_streamed_body_goes_with_the_engine_that_can() -> None:
    choice = choose_engine(plan_with(body_size="1GiB"))
    assert (choice.name, choice.reason) == ("aiohttp", "request put streams its body")
    with pytest.raises(PlanError, match="engine wire cannot send what the plan asks for: request put streams"):
        choose_engine(plan_with(body_size="1GiB").model_copy(update={"engine": "wire"}))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"body_file .*/none.bin cannot be read .*relative to the plan"):
        prepared_requests(plan_with(body_file=tmp_path / "none.bin"))
