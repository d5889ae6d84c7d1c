"""What a request hands to threads and tasks is joined with it and with nobody else, and the service feels nothing.

Two endpoints call one function, each the same way, many at once. The function writes down on which thread, when and for
whom it ran: a sample of it has that endpoint, or none.
"""

import ast
import asyncio
import contextvars
import functools
import inspect
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import uvicorn
import uvloop
from asgiref.sync import sync_to_async
from fastapi import Depends, FastAPI
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, StreamingResponse

from producers.context import loadflame_middleware as middleware
from producers.context.loadflame_middleware import LoadflameASGI
from producers.natural import MiddlewareSocket
from producers.profiler.context import UNKNOWN, Served
from tests.support.polling import until, wait_until
from tests.support.telling import answered, followed, listening_to, now_us, ran_by, spin

PID = 7
ENDPOINTS = ("/a", "/b")
Worked = list[tuple[str, int, int, int]]
SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "query_string": b"", "headers": [], "root_path": ""}


class Shop:
    """Its `work` is called by all endpoints; who ran it where and when is the truth."""

    def __init__(self) -> None:
        self.worked: Worked = []
        self.pool = ThreadPoolExecutor(3)

    def work(self, path: str, seconds: float = 0.001) -> str:
        began = now_us()
        spin(seconds)
        self.worked.append((path, threading.get_native_id(), began, now_us()))
        return path

    async def worked_later(self, path: str) -> str:
        await asyncio.sleep(0.001)
        self.work(path)
        await asyncio.sleep(0)
        return self.work(path)


async def create_task(shop: Shop, path: str) -> None:
    await asyncio.create_task(shop.worked_later(path))


async def gather(shop: Shop, path: str) -> None:
    await asyncio.gather(*(shop.worked_later(path) for _ in range(3)))


async def task_groups(shop: Shop, path: str) -> None:
    async with asyncio.TaskGroup() as group, anyio.create_task_group() as theirs:
        group.create_task(shop.worked_later(path))
        theirs.start_soon(shop.worked_later, path)


async def a_task_of_a_task(shop: Shop, path: str) -> None:
    await asyncio.create_task(create_task(shop, path))


async def anyio_s_threads(shop: Shop, path: str) -> None:
    await anyio.to_thread.run_sync(shop.work, path)


async def asyncio_s_threads(shop: Shop, path: str) -> None:
    await asyncio.to_thread(shop.work, path)


async def a_pool_of_its_own(shop: Shop, path: str) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.run_in_executor(shop.pool, shop.work, path) for _ in range(3)))


async def django_s_way(shop: Shop, path: str) -> None:
    await sync_to_async(shop.work, thread_sensitive=False)(path)


async def from_a_thread_back_to_the_loop(shop: Shop, path: str) -> None:
    await anyio.to_thread.run_sync(anyio.from_thread.run, shop.worked_later, path)


async def a_child_s_threads(shop: Shop, path: str) -> None:
    await asyncio.create_task(anyio_s_threads(shop, path))


JOINED = (
    create_task,
    gather,
    task_groups,
    a_task_of_a_task,
    anyio_s_threads,
    asyncio_s_threads,
    a_pool_of_its_own,
    django_s_way,
    from_a_thread_back_to_the_loop,
    a_child_s_threads,
)


def endpoints_of(way: Callable[[Shop, str], Awaitable[None]], shop: Shop) -> Callable[..., Awaitable[None]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await way(shop, scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    return app


async def asked(app: Any, each: int = 6) -> None:
    """Both endpoints so often, all at once, as a server would: each in a task of its own."""
    await asyncio.gather(*(answered(app, SCOPE | {"path": path}) for _ in range(each) for path in ENDPOINTS))


def joined(served: Served, worked: Worked) -> list[tuple[str, list[str]]]:
    """Of each piece of work for whom it was, and for whom samples of it are."""
    found = []
    for path, thread, begin, end in worked:
        times = [begin + (end - begin) * part // 8 for part in range(1, 8)]
        found.append((f"GET {path}", served.endpoints(PID, [thread] * len(times), times)))
    return found


def known(teller: middleware.Teller) -> Served:
    served = Served()
    served.tell(PID, ran_by(teller))
    return served


@pytest.mark.parametrize("way", JOINED)
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_is_handed_on_is_joined_with_the_request_that_did_and_with_no_other(
    way: Callable[[Shop, str], Awaitable[None]], new_loop: Any, tmp_path: Path
) -> None:
    shop, served, over = Shop(), Served(), threading.Event()
    app = LoadflameASGI(endpoints_of(way, shop), str(tmp_path / "told"))

    def tell_at_any_moment() -> None:
        while not over.wait(0.0005):
            served.tell(PID, ran_by(app.teller))

    async def load() -> None:
        async with followed(app) as teller:
            telling = threading.Thread(target=tell_at_any_moment)
            telling.start()
            try:
                await asked(app)
            finally:
                over.set()
                telling.join()
            served.tell(PID, ran_by(teller))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(load())
    assert len(shop.worked) >= 12
    for truth, found in joined(served, shop.worked):
        assert found == [truth] * 7


def fastapi_shop(shop: Shop) -> FastAPI:
    """Nearly all that FastAPI has which is no `async def` endpoint, behind a middleware with a task of its own."""
    app = FastAPI()

    class Around(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            shop.work(request.url.path)
            return await call_next(request)

    def needed() -> Iterator[None]:
        yield

    def parts(path: str) -> Iterator[str]:
        yield shop.work(path)
        yield shop.work(path)

    for path in ENDPOINTS:

        def depended(path: str = path) -> str:
            return shop.work(path)

        def plain(said: str = Depends(depended), none: None = Depends(needed), path: str = path) -> Any:
            return JSONResponse(shop.work(path), background=BackgroundTask(shop.work, path))

        def streamed(path: str = path) -> StreamingResponse:
            return StreamingResponse(parts(path))

        app.get(path)(plain)
        app.get(f"{path}/streamed")(streamed)
    app.add_middleware(Around)
    return app


async def test_def_endpoints_of_fastapi_with_all_that_is_around_them_are_joined(tmp_path: Path) -> None:
    shop = Shop()
    app = LoadflameASGI(fastapi_shop(shop), str(tmp_path / "told"))
    async with followed(app) as teller:
        paths = [f"{path}{end}" for path in ENDPOINTS for end in ("", "/streamed")]
        await asyncio.gather(*(answered(app, SCOPE | {"path": path}) for _ in range(5) for path in paths))
        served = known(teller)
    assert len(shop.worked) == 5 * 2 * (1 + 3 + 1 + 2)
    for truth, found in joined(served, shop.worked):
        assert {one.removesuffix("/streamed") for one in found} == {truth.removesuffix("/streamed")}


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_requests_that_a_server_takes_up_behind_one_another_on_connections_are_told_apart(
    http: Any, tmp_path: Path
) -> None:
    shop = Shop()
    app = LoadflameASGI(fastapi_shop(shop), str(tmp_path / "told"))
    config = uvicorn.Config(app, http=http, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    paths = ["/a", "/b", "/b/streamed", "/a", "/a/streamed", "/b"]

    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        asked = [f"GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n" for path in paths]
        asked[-1] = asked[-1].replace("host: shop", "host: shop\r\nconnection: close")
        writer.write("".join(asked).encode())  # all at once
        assert (await reader.read(-1)).count(b"HTTP/1.1 200 OK") == len(paths)
        writer.close()

    async with followed(app) as teller:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            await asyncio.gather(*(client(listening.getsockname()[1]) for _ in range(4)))
            server.should_exit = True
            await serving
        served = known(teller)
    assert len(shop.worked) == 4 * (4 * 4 + 2 * 3)
    for truth, found in joined(served, shop.worked):
        assert {one.removesuffix("/streamed") for one in found} == {truth.removesuffix("/streamed")}


async def forgotten(shop: Shop, path: str) -> None:
    """Begun and not waited for."""
    shop.later = [*getattr(shop, "later", []), asyncio.create_task(shop.worked_later(path))]  # type: ignore[attr-defined]


async def handed_to_a_thread_of_its_own(shop: Shop, path: str) -> None:
    thread = threading.Thread(target=shop.work, args=(path,))
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.001)


class Derived(ThreadPoolExecutor):
    """Of it nobody knows what it does with what it is given."""


async def derived_pool(shop: Shop, path: str) -> None:
    with Derived(1) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, shop.work, path)


async def without_context(shop: Shop, path: str) -> None:
    await asyncio.create_task(shop.worked_later(path), context=contextvars.Context())


@pytest.mark.parametrize("way", [forgotten, handed_to_a_thread_of_its_own, derived_pool, without_context])
async def test_what_cannot_be_joined_is_nobody_s(way: Callable[[Shop, str], Awaitable[None]], tmp_path: Path) -> None:
    shop = Shop()
    app = LoadflameASGI(endpoints_of(way, shop), str(tmp_path / "told"))
    async with followed(app) as teller:
        await asked(app, 2)
        await asyncio.gather(*getattr(shop, "later", []))
        served = known(teller)
    assert len(shop.worked) >= 4
    assert {one for _, found in joined(served, shop.worked) for one in found} == {UNKNOWN}


async def test_with_follow_off_or_a_task_factory_of_the_service_s_own_tasks_are_left_alone(tmp_path: Path) -> None:
    shop, loop = Shop(), asyncio.get_running_loop()

    async def both(shop: Shop, path: str) -> None:
        await create_task(shop, path)
        await asyncio_s_threads(shop, path)

    app = LoadflameASGI(endpoints_of(both, shop), str(tmp_path / "told"), follow=False)
    async with followed(app) as teller:
        await asked(app, 1)
        served = known(teller)
    assert {one for _, found in joined(served, shop.worked) for one in found} == {UNKNOWN}

    def own(loop: Any, coro: Any, **named: Any) -> Any:
        return asyncio.Task(coro, loop=loop, **named)

    shop.worked.clear()
    app = LoadflameASGI(endpoints_of(both, shop), str(tmp_path / "told"))
    loop.set_task_factory(own)
    async with followed(app) as teller:
        assert loop.get_task_factory() is own
        await asked(app, 1)
        served = known(teller)
    assert loop.get_task_factory() is own
    loop.set_task_factory(None)
    by_thread = {(thread == threading.get_native_id(), *found) for (_, thread, _, _), (_, found) in zip(
        shop.worked, joined(served, shop.worked), strict=True
    )}  # fmt: skip
    assert {(on_loop, one) for on_loop, *found in by_thread for one in found} == {
        (True, UNKNOWN),
        (False, "GET /a"),
        (False, "GET /b"),
    }


async def test_what_the_first_request_begins_for_all_is_its_own_only_while_it_is_under_way(tmp_path: Path) -> None:
    shop, waiting = Shop(), asyncio.Queue[tuple[str, asyncio.Event]]()
    workers = []

    async def for_all() -> None:
        while True:
            path, done = await waiting.get()
            shop.work(path)
            done.set()

    async def lazily(shop: Shop, path: str) -> None:
        if not workers:
            workers.append(asyncio.create_task(for_all()))
            return
        done = asyncio.Event()
        waiting.put_nowait((path, done))
        await done.wait()

    app = LoadflameASGI(endpoints_of(lazily, shop), str(tmp_path / "told"))
    async with followed(app) as teller:
        await answered(app, SCOPE | {"path": "/first"})
        await asked(app)
        served = known(teller)
        workers[0].cancel()
    assert len(shop.worked) == 12
    assert {one for _, found in joined(served, shop.worked) for one in found} == {UNKNOWN}


async def test_a_request_that_a_server_takes_up_in_the_task_of_another_belongs_to_itself(tmp_path: Path) -> None:
    shop, before = Shop(), Shop()  # what endpoints do, and what the server does before them
    following: list[asyncio.Task[Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})
        for _ in range(5):  # it goes on behind its answer, as background tasks do
            shop.work(scope["path"])
            await asyncio.sleep(0)

    wrapped = LoadflameASGI(app, str(tmp_path / "told"))

    async def pipelined(path: str) -> None:
        """As uvicorn does: where the answer has been sent, the connection's next request is begun."""

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and path == "/a":
                following.append(asyncio.create_task(pipelined("/b")))

        before.work(path)
        await wrapped(SCOPE | {"path": path}, None, send)

    async with followed(wrapped) as teller:
        await asyncio.create_task(pipelined("/a"))
        await following[0]
        served = known(teller)
    assert (len(shop.worked), len(before.worked)) == (10, 2)
    for truth, found in joined(served, shop.worked):
        assert found == [truth] * 7
    assert {one for _, found in joined(served, before.worked) for one in found} == {UNKNOWN}


class Asked:
    """What code can see of a task, and of a thread, in which it runs."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.variable = contextvars.ContextVar("variable", default="unset")

    async def child(self) -> str:
        task = asyncio.current_task()
        assert task is not None
        told = task.get_coro()
        assert told is not None
        self.said += [told.__qualname__, asyncio.iscoroutine(told), inspect.getcoroutinestate(told)]
        self.said += [task.get_name(), "Asked.child()" in repr(task)]
        self.said.append(self.variable.get())
        self.variable.set("the child's")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            self.said.append(error.args)
            await asyncio.sleep(0)
            raise
        return "never"

    def in_thread(self, number: int, *, twice: int) -> int:
        self.said += [number, twice, self.variable.get()]
        self.variable.set("the thread's")
        raise LookupError("in a thread")

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.variable.set("the request's")
        task = asyncio.create_task(self.child(), name="a name")
        await asyncio.sleep(0.001)
        self.said += [inspect.getcoroutinestate(task.get_coro()), [one.f_code for one in task.get_stack()]]
        task.cancel("why")
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        self.said += [type(outcome), outcome.args]
        for calling in (anyio.to_thread.run_sync, asyncio.to_thread):
            with pytest.raises(LookupError, match="in a thread"):
                await calling(functools.partial(self.in_thread, 1, twice=2))
            self.said.append(self.variable.get())
        with anyio.move_on_after(0.001) as moved:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 60)
        self.said.append(moved.cancelled_caught)
        with pytest.raises(TypeError):
            await asyncio.create_task(iter(()))  # type: ignore[arg-type]


async def test_code_that_is_followed_sees_what_it_sees_without(tmp_path: Path) -> None:
    alone, beside = Asked(), Asked()
    await asyncio.create_task(alone.app(SCOPE | {"path": "/"}, None, None))
    app = LoadflameASGI(beside.app, str(tmp_path / "told"))
    async with followed(app) as teller:
        await asyncio.create_task(app(SCOPE | {"path": "/"}, None, None))
        assert ran_by(teller)
    assert beside.said == alone.said
    assert inspect.iscoroutinefunction(anyio.to_thread.run_sync)


async def test_once_nobody_listens_any_more_all_is_as_it_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SEND_S", "AGAIN_S", "LOOK_S"):
        monkeypatch.setattr(middleware, name, 0.005)
    submit, run_sync, loop = ThreadPoolExecutor.submit, anyio.to_thread.run_sync, asyncio.get_running_loop()
    shop = Shop()
    app = LoadflameASGI(endpoints_of(create_task, shop), str(tmp_path / "told"))
    await asked(app, 1)  # its first request begins to look, and knows the loop
    assert (ThreadPoolExecutor.submit, anyio.to_thread.run_sync, loop.get_task_factory()) == (submit, run_sync, None)
    listener = MiddlewareSocket(tmp_path / "told")
    await until(lambda: app.teller.on and loop.get_task_factory() is not None, 60, "somebody is known to listen")
    assert ThreadPoolExecutor.submit is not submit
    assert anyio.to_thread.run_sync is not run_sync
    shop.worked.clear()
    await asked(app, 1)
    wait_until(lambda: bool(listener.look(now_us())), 60, "the requests are told of")
    listener.close()
    while app.teller.on or loop.get_task_factory() is not None:
        await asked(app, 1)  # who sends finds nobody there
    assert (ThreadPoolExecutor.submit, anyio.to_thread.run_sync) == (submit, run_sync)
    app.teller.stop()


async def test_two_applications_of_a_process_are_followed_until_the_last_is_listened_to_no_more(tmp_path: Path) -> None:
    submit, loop = ThreadPoolExecutor.submit, asyncio.get_running_loop()
    app = endpoints_of(create_task, Shop())
    first, second = LoadflameASGI(app, str(tmp_path / "told")), LoadflameASGI(app, str(tmp_path / "more"))
    async with followed(first, second):
        middleware._following.end(first.teller)
        middleware._following.end(first.teller)
        await asyncio.sleep(0)
        assert loop.get_task_factory() is not None
        assert ThreadPoolExecutor.submit is not submit
    assert loop.get_task_factory() is None
    assert ThreadPoolExecutor.submit is submit


async def test_what_somebody_else_has_replaced_meanwhile_stays_as_they_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, run_sync = ThreadPoolExecutor.submit, anyio.to_thread.run_sync
    app = LoadflameASGI(endpoints_of(asyncio_s_threads, Shop()), str(tmp_path / "told"))
    async with followed(app):
        ours = ThreadPoolExecutor.submit

        def theirs(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            return ours(self, fn, *args, **kwargs)

        monkeypatch.setattr(ThreadPoolExecutor, "submit", theirs)
    assert (ThreadPoolExecutor.submit, anyio.to_thread.run_sync) == (theirs, run_sync)
    await asyncio.to_thread(int)
    async with followed(app):
        assert ThreadPoolExecutor.submit is theirs  # ours is in it already
    monkeypatch.undo()
    middleware._following._put_back()
    assert ThreadPoolExecutor.submit is submit


async def test_a_child_process_has_everything_as_it_was(tmp_path: Path) -> None:
    submit, run_sync = ThreadPoolExecutor.submit, anyio.to_thread.run_sync
    app = LoadflameASGI(endpoints_of(create_task, Shop()), str(tmp_path / "told"))
    async with followed(app) as teller:
        middleware._following._lock.acquire()  # somebody holds it
        teller._forked()
        assert (ThreadPoolExecutor.submit, anyio.to_thread.run_sync) == (submit, run_sync)
        assert not middleware._following._lock.locked()
    asyncio.get_running_loop().set_task_factory(None)


async def test_of_more_threads_than_are_kept_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "STEPS", 3)
    shop = Shop()

    async def often(shop: Shop, path: str) -> None:
        for _ in range(5):
            await asyncio.to_thread(shop.work, path)

    app = LoadflameASGI(endpoints_of(often, shop), str(tmp_path / "told"))
    async with followed(app) as teller:
        await answered(app, SCOPE | {"path": "/a"})
        served = known(teller)
    assert [found[3] for _, found in joined(served, shop.worked)] == ["GET /a"] * 3 + [UNKNOWN] * 2


async def test_a_thread_is_told_of_while_it_works_and_no_longer_than_its_request(tmp_path: Path) -> None:
    begun, go_on, told = threading.Event(), threading.Event(), []

    def work() -> int:
        begun.set()
        go_on.wait(60)
        return threading.get_native_id()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        running.append(asyncio.get_running_loop().run_in_executor(None, work))
        await asyncio.sleep(0)
        begun.wait(60)
        told.append(ran_by(teller))

    running: list[Any] = []
    wrapped = LoadflameASGI(app, str(tmp_path / "told"))
    async with followed(wrapped) as teller:
        await answered(wrapped, SCOPE | {"path": "/a"})
        ended_us = now_us()
        told.append(ran_by(teller))
        go_on.set()
        thread = await running[0]
        told.append(ran_by(teller))
    meanwhile, at_the_end, later = ([one for one in some if one.thread == thread] for some in told)
    assert (len(meanwhile), len(at_the_end), later) == (1, 1, [])
    assert meanwhile[0].begin_us == at_the_end[0].begin_us
    assert meanwhile[0].end_us < at_the_end[0].end_us <= ended_us


class Meanwhile(list[Any]):
    """Something happens in another thread just as one takes something out of it."""

    def __init__(self, kept: list[Any], happens: Callable[[], object]) -> None:
        super().__init__(kept)
        self.happens = happens

    def remove(self, one: Any) -> None:
        self.happens()
        super().remove(one)

    def __delitem__(self, where: Any) -> None:
        super().__delitem__(where)
        self.happens()


async def test_what_whoever_sends_tells_just_as_the_request_ends_keeps_nothing_else_from_being_told(
    tmp_path: Path,
) -> None:
    shop = Shop()
    by_the_sender: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            await asyncio.to_thread(shop.work, "/a")
        request = middleware._request.get()
        told = request.elsewhere = Meanwhile(
            request.elsewhere, lambda: by_the_sender or by_the_sender.append(told.pop(0))
        )

    wrapped = LoadflameASGI(app, str(tmp_path / "told"))
    async with followed(wrapped) as teller:
        await answered(wrapped, SCOPE | {"path": "/a"})
        served = known(teller)
    assert [set(found) for _, found in joined(served, shop.worked)] == [{UNKNOWN}, {"GET /a"}]


async def test_a_request_that_ends_just_as_it_is_told_of_is_not_told_as_one_step(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        request = middleware._request.get()
        request.steps_ns = Meanwhile(request.steps_ns, request.end)
        request.tell(middleware._now_ns())

    wrapped = LoadflameASGI(app, str(tmp_path / "told"))
    teller = listening_to(wrapped)
    await answered(wrapped, SCOPE | {"path": "/a"})
    assert [note[2] for note in teller._notes] == [1]


async def test_what_lives_on_in_copies_of_a_context_keeps_nothing_of_a_request(tmp_path: Path) -> None:
    kept: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kept.extend((contextvars.copy_context(), send))

    wrapped = LoadflameASGI(app, str(tmp_path / "told"))
    listening_to(wrapped)
    sent = await answered(wrapped, SCOPE | {"path": "/a"})
    context, send = kept
    request = context[middleware._request]
    assert (request.scope, request.sent, len(request.steps_ns)) == (None, None, 1)
    await send({"type": "late"})
    assert sent == [{"type": "late"}]  # who sends behind the end gets as far as ever


def test_the_file_is_understood_by_the_oldest_python_that_services_run_on() -> None:
    ast.parse(Path(str(middleware.__file__)).read_text(), feature_version=(3, 9))
