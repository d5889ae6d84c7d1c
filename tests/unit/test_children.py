"""The processes of a run: ready, ended in order, and their own words when they fail."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from loadflame.children import Child, ChildError


@pytest.fixture
async def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Start a Python text in place of a role; it is gone when the test is over, however that ends."""
    started: list[Child] = []

    async def start(text: str) -> Child:
        script = tmp_path / "python"
        head = "import sys, signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
        script.write_text(f"#!{sys.executable}\n{head}\n{text}\n")
        script.chmod(0o755)
        monkeypatch.setattr("loadflame.children.sys.executable", str(script))
        started.append(await Child.start("role", [], {}, tmp_path / "log" / "role.log"))
        return started[-1]

    yield start
    for child in started:
        await child.kill()


async def test_a_role_is_ready_when_it_says_so_and_ends_when_interrupted(program) -> None:
    child = await program("try:\n print('ready', flush=True)\n time.sleep(60)\nexcept KeyboardInterrupt: pass")
    await child.ready(60)
    assert child.running
    await child.finish(60)
    assert not child.running


async def test_the_sentence_of_a_role_that_fails_is_the_error(program) -> None:
    child = await program("print('loadflame: no such plan; write one', file=sys.stderr); sys.exit(2)")
    with pytest.raises(ChildError, match=r"^no such plan; write one$"):
        await child.ready(60)
    with pytest.raises(ChildError, match="no such plan"):
        await child.wait()


async def test_a_role_that_fails_without_a_sentence_is_quoted_with_its_log(program) -> None:
    child = await program("raise RuntimeError('boom')")
    with pytest.raises(ChildError, match=r"role ended with code 1; it last said: RuntimeError: boom \(log: .*role.log"):
        await child.wait()


async def test_a_role_that_does_not_end_is_killed_and_reported(program) -> None:
    child = await program("signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)")
    await child.ready(60)
    with pytest.raises(ChildError, match="did not end"):
        await child.finish(0.2)
    assert not child.running


async def test_a_role_is_not_interrupted_before_it_has_an_ear_for_it(program) -> None:
    child = await program(
        "time.sleep(0.5)\ntry:\n print('ready', flush=True)\n time.sleep(60)\n"
        "except KeyboardInterrupt: print('in order', file=sys.stderr)"
    )
    await child.finish(60)
    assert child.log.read_text() == "in order\n"


INTERRUPTED = "try:\n print('ready', flush=True)\n time.sleep(60)\nexcept KeyboardInterrupt: sys.exit(130)"


async def test_the_exit_code_of_ctrl_c_is_a_good_end_of_what_we_interrupted(program) -> None:
    child = await program(INTERRUPTED)
    waiting = asyncio.create_task(child.wait())
    await child.finish(60)
    await waiting


async def test_the_exit_code_of_ctrl_c_is_a_failure_when_we_did_not_interrupt(program) -> None:
    child = await program(INTERRUPTED)
    await child.ready(60)
    os.kill(child.pid, signal.SIGINT)
    with pytest.raises(ChildError, match="ended with code 130"):
        await child.wait()


async def test_a_role_that_is_ended_before_it_is_ready_may_end_what_it_started(program) -> None:
    child = await program(
        "try:\n print('up', file=sys.stderr, flush=True)\n time.sleep(60)\n"
        "except KeyboardInterrupt: print('in order', file=sys.stderr)"
    )
    while not child.log.read_text():
        await asyncio.sleep(0.01)
    await child.end(60)
    assert child.log.read_text() == "up\nin order\n"


async def test_a_role_that_is_ended_and_stays_is_killed(program) -> None:
    stubborn = await program("signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)")
    await stubborn.ready(60)
    await stubborn.end(0.1)
    assert not stubborn.running


async def test_waiting_twice_is_allowed(program) -> None:
    child = await program("pass")
    await child.wait()
    await child.wait()


async def test_a_file_of_the_users_folder_does_not_stand_in_for_a_room_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schemas.py").write_text("raise SystemExit('not this one')\n")
    child = await Child.start("load", ["--help"], {}, tmp_path / "log" / "load.log")
    await child.wait()
