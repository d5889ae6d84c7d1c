"""A service tells of its requests as they end: one file for ASGI and WSGI, of the standard library alone.

Copy it beside your service (`loadflame middleware > loadflame_middleware.py`), and wrap the application:

    from loadflame_middleware import LoadflameASGI
    app = LoadflameASGI(app)                    # FastAPI, Starlette, Django's ASGI, Quart, ...

    from loadflame_middleware import LoadflameWSGI
    app.wsgi_app = LoadflameWSGI(app.wsgi_app)  # Flask; of Django: application = LoadflameWSGI(application)

As long as nobody listens at the socket, a request costs one look at a flag. `loadflame observe --socket PATH` listens:
then trace id, thread, task, begin, end, endpoint and status of each request are noted, and when its thread ran for it,
and a thread of its own sends them there, twice a second. Nothing of it ever waits on a request's way or raises into the
service: what finds no room is dropped and counted. The path is LOADFLAME_SOCKET, or the argument `socket_path`, or
`loadflame.sock` in XDG_RUNTIME_DIR, or in /tmp/loadflame-UID. The socket and the folder in which it stands must belong
to this user or to root, and nobody else may write into that folder.

A datagram is JSON: {"v": 1, "pid": 7, "dropped": 0, "requests": [[trace, thread, task, begin, took, endpoint, status]],
"ahead": 5, "ran": [[thread, endpoint, [from, to, from, to]]]} with times in microseconds, `begin` of the Unix epoch,
`thread` as the kernel counts threads, and `dropped` since the process began. `task` is 0 where the thread did nothing
else from begin to end, else 1. Then, and of requests that are under way, `ran` tells when a thread ran for the request,
in nanoseconds of a counter than which the Unix time is `ahead`: on an event loop these are the steps of its own task
and of those that it began, between which the loop does other things. The endpoint is the route where the framework
tells it, and the path without its query elsewhere. What loadflame's own load asks says for which run and endpoint of
its plan (W3C Baggage): that is a fourth part of what `ran`, and of WSGI told there too.

While somebody listens, and only then, what a request of ASGI hands on is followed, until the request has ended:

- what it has a thread do (`def` endpoints of FastAPI and Starlette, `asyncio.to_thread`, `run_in_executor`), as
  `anyio.to_thread.run_sync` and `ThreadPoolExecutor.submit` are replaced by functions that keep when the thread did it;
- the tasks that it begins (`create_task`, `gather`, task groups, Starlette's BaseHTTPMiddleware), by a task factory of
  the event loop that it was first called on, unless the service has set one itself.

Whose request it is, a context variable says. What no request began goes through as it is, and so does everything once
nobody listens any more: then all of it is as it was before, but that tasks which were begun meanwhile are followed to
their end. `follow=False` leaves it alone altogether.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import lru_cache, partial, wraps
from json import JSONEncoder
from types import CoroutineType, coroutine
from typing import Any

ROOM = 16_384
"""Requests that are noted and not yet sent, at most: about 4 MB, 40 MB if somebody asks for the longest of paths."""
DATAGRAM, DATAGRAM_BYTES = 200, 120_000
"""Requests in one datagram, at most, and how large it may be: whoever listens reads 128 KiB."""
STEPS = 64
"""Stretches of one request, on its loop and in other threads, that are kept until they are told, at most."""
UNDER_WAY, LONGEST_S = 2048, 60.0
"""Requests under way that are told of, at most, and for how long: a server may never close what it was given."""
SEND_S, AGAIN_S, LOOK_S = 0.5, 0.02, 1.0
"""Between sendings; before what found the socket full is sent again; between looks whether somebody listens."""
SLOW_NS, LOOKS, MANY_LOOKS = 1_000_000, 20, 1000
"""Of a quicker request of ASGI the headers are looked at only if it is one of so many before the next sending, or of so
many behind one of loadflame's load: to look takes half as long as all the rest, and nobody seeks what was quick.
"""
_METHOD_LENGTH, _PATH_LENGTH, _NAME_LENGTH = 16, 200, 217
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_TRACEPARENT, _BAGGAGE, _OURS = b"traceparent", b"baggage", b"loadflame.endpoint="
_BAGGAGE_LENGTH = 1024
_STATUS_END = 1000
_json = JSONEncoder(separators=(",", ":")).encode
_now_ns = time.perf_counter_ns
_this_thread = threading.local()


def _thread_id() -> int:
    """As the kernel counts, which is asked once: it takes longer than all else that is noted of a thread."""
    try:
        found: int = _this_thread.number
    except AttributeError:
        found = _this_thread.number = threading.get_native_id()
    return found


def _unix_ahead_ns() -> int:
    """What the Unix time is ahead of the performance counter, by a look at both at which nobody was held up."""
    looks = []
    for _ in range(3):
        before_ns, unix_ns, after_ns = _now_ns(), time.time_ns(), _now_ns()
        looks.append((after_ns - before_ns, unix_ns - after_ns))
    return min(looks)[1]


def default_path() -> str:
    """Where the socket is looked for when nobody says."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/loadflame-{os.getuid()}"  # noqa: S108  who owns it is looked at
    return os.environ.get("LOADFLAME_SOCKET") or os.path.join(folder, "loadflame.sock")  # noqa: PTH118  no import more


_request: "ContextVar[Any]" = ContextVar("loadflame_request", default=None)
"""Which request, noted and under way, the code that runs works for: what it begins inherits the answer."""


class _Following:
    """Follows what requests hand on, while any teller of this process has somebody who listens."""

    def __init__(self) -> None:
        self._loops: dict[Any, Any] = {}  # by teller
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self._lock = threading.Lock()

    def begin(self, teller: Any, loop: Any) -> None:
        """Have what requests on a loop hand on followed; again, for what was imported meanwhile."""
        with self._lock:
            is_new = teller not in self._loops
            self._loops[teller] = loop
            self._replace(ThreadPoolExecutor, "submit", _submitting)
            if "anyio.to_thread" in sys.modules:  # whoever runs requests by it has imported it
                self._replace(sys.modules["anyio.to_thread"], "run_sync", _running_in_thread)
        if is_new:
            self._ask(loop, _follow_tasks)

    def end(self, teller: Any) -> None:
        """Of this teller's requests nothing is followed any more; with the last of them, all is as it was before."""
        with self._lock:
            loop = self._loops.pop(teller, None)
            if loop is None:
                return
            is_last = loop not in self._loops.values()
            if not self._loops:
                self._put_back()
        if is_last:
            self._ask(loop, _follow_no_tasks)

    def forked(self) -> None:
        """A child has one thread and no loop of its parent's; somebody may have held the lock."""
        self._lock = threading.Lock()
        self._loops.clear()
        self._put_back()

    @staticmethod
    def _ask(loop: Any, what: Any) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(what, loop)

    def _replace(self, owner: Any, name: str, around: Any) -> None:
        if any(one[:2] == (owner, name) for one in self._replaced):
            return
        before = getattr(owner, name)
        after = around(before)
        setattr(owner, name, after)
        self._replaced.append((owner, name, before, after))

    def _put_back(self) -> None:
        for one in list(self._replaced):
            owner, name, before, after = one
            if getattr(owner, name) is after:  # else somebody has replaced ours meanwhile, which goes on as theirs says
                setattr(owner, name, before)
                self._replaced.remove(one)


_following = _Following()


def _submitting(before: Any) -> Any:
    @wraps(before)
    def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        request = _request.get()
        # What is derived from a pool of threads may be one of interpreters or of processes: to them ours means nothing.
        if request is None or request.scope is None or type(self) is not ThreadPoolExecutor:
            return before(self, fn, *args, **kwargs)
        return before(self, partial(_in_thread, request, fn), *args, **kwargs)

    return submit


def _running_in_thread(before: Any) -> Any:
    @wraps(before)
    async def run_sync(func: Any, *args: Any, **options: Any) -> Any:
        request = _request.get()
        if request is not None and request.scope is not None:
            func = partial(_in_thread, request, func)
        return await before(func, *args, **options)

    return run_sync


def _in_thread(request: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call a function for a request, and keep when it ran; on whichever thread that is."""
    elsewhere = request.elsewhere
    if request.scope is None or len(elsewhere) >= STEPS:
        return function(*args, **kwargs)
    stretch = [_thread_id(), _now_ns(), 0]
    elsewhere.append(stretch)
    try:
        return function(*args, **kwargs)
    finally:
        stretch[2] = _now_ns()


def _follow_tasks(loop: Any) -> None:
    if loop.get_task_factory() is None:  # one of the service's own may mean something by what it makes
        loop.set_task_factory(_task)


def _follow_no_tasks(loop: Any) -> None:
    if loop.get_task_factory() is _task:
        loop.set_task_factory(None)


def _task(loop: Any, begun: Any, **named: Any) -> Any:
    """A task, as the loop itself makes it; the steps of one that a request's code begins are kept with its own."""
    context = named.get("context")
    request = _request.get() if context is None else context.get(_request)
    if (
        request is not None
        and request.scope is not None
        and type(begun) is CoroutineType
        and request.thread == _thread_id()  # of another loop's thread this request's steps are not
    ):
        begun = _Task(begun, request.steps_ns)
    return asyncio.Task(begun, loop=loop, **named)


class Teller:
    """Notes requests and sends them. `on` says whether somebody listens; `dropped` what found no room."""

    def __init__(self, path: str) -> None:
        self.on = False
        self.started = False
        self.dropped = 0
        self.looks = LOOKS
        self.under_way: set[Any] = set()
        self._path = path
        self._notes: deque[tuple[Any, ...]] = deque()
        self._ran: deque[tuple[Any, ...]] = deque(maxlen=ROOM)
        self._ahead_ns = _unix_ahead_ns()
        self._socket: socket.socket | None = None
        self._loop: Any = None
        self._starting = threading.Lock()
        self._over = threading.Event()
        os.register_at_fork(after_in_child=self._forked)

    def note(
        self,
        trace: str,
        task: int,
        times_ns: "tuple[int, int]",
        endpoint: str,
        status: int,
        *,
        thread: int = 0,
        steps_ns: "list[int] | None" = None,
        baggage: str = "",
    ) -> None:
        """Note a request that ended, on this thread where none is said; times are of the performance counter.

        `steps_ns` are begins and ends of what the thread ran for it, one after the other, where it did more than that.
        """
        if len(self._notes) >= ROOM:
            self.dropped += 1
            return
        # Text is made of it by the thread that sends, of many at once: that takes less, and nobody waits. Nothing but
        # numbers and text is kept, which the garbage collector learns not to walk through.
        if trace and not (trace.isascii() and trace.isalnum()):
            trace = ""
        if type(status) is not int or not 0 <= status < _STATUS_END:  # applications may say what they like
            status = int(status) if 0 <= int(status) < _STATUS_END else 0
        thread = thread or _thread_id()
        began_ns, ended_ns = times_ns
        begun_us, took_us = (began_ns + self._ahead_ns) // 1000, (ended_ns - began_ns) // 1000
        self._notes.append((trace, thread, task, begun_us, took_us, endpoint, status))
        if steps_ns:
            self._ran.append((thread, endpoint, tuple(steps_ns), baggage))

    def ran(self, thread: int, endpoint: str, steps_ns: "list[int]", baggage: str) -> None:
        """Note what a thread ran for a request that is under way."""
        self._ran.append((thread, endpoint, tuple(steps_ns), baggage))

    def start(self, loop: Any = None) -> None:
        """Begin to look whether somebody listens: once in each process, by its first request.

        What requests on the event loop hand on is followed, if there is one, from when somebody does.
        """
        with self._starting:
            if self.started:
                return
            self.started = True
            self._loop = loop
        # Where no thread can be had, nothing is told.
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=self._run, name="loadflame-middleware", daemon=True).start()

    def stop(self) -> None:
        """End the thread, which sends what is left; for tests."""
        self._over.set()

    def _forked(self) -> None:
        """Threads do not come along into a child, and what was noted is its parent's to tell."""
        self.on = self.started = False
        self._loop = None
        _following.forked()
        _this_thread.__dict__.clear()  # the kernel counts it anew
        self.dropped = 0
        self.under_way.clear()
        self._notes.clear()
        self._ran.clear()
        self._starting = threading.Lock()
        self._over = threading.Event()  # somebody may have held its lock
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _run(self) -> None:
        wait_s = 0.0
        while not self._over.wait(wait_s):
            try:
                wait_s = self._once(wait_s)
            except Exception:  # noqa: BLE001  a service must not hear of it, whatever it is
                self._hang_up()
                wait_s = LOOK_S
        with contextlib.suppress(Exception):
            self._once()
        self._hang_up()

    def _once(self, wait_s: float = SEND_S) -> float:
        """Look, or send what there is, after so many seconds; gives how many to wait until the next time."""
        self._ahead_ns = _unix_ahead_ns()
        if self._socket is None:
            self._socket = self._listener()
            if self._socket is None:
                return LOOK_S
            self._follow()
            self.on = True
            return SEND_S
        self._follow()
        self.looks = max(self.looks, LOOKS)
        if wait_s >= SEND_S:  # not again, when there was no room
            self._tell_under_way()
        while self._notes or self._ran:
            data, notes, ran = self._batch()
            try:
                self._socket.send(data)
            except BlockingIOError:  # full: they wait
                self._put_back(notes, ran)
                return AGAIN_S
            except OSError as error:
                if error.errno in (errno.EMSGSIZE, errno.ENOBUFS):  # more than this kernel takes
                    self.dropped += len(notes)
                    continue
                self._hang_up()  # nobody listens any more
                return LOOK_S
        return SEND_S

    def _follow(self) -> None:
        if self._loop is not None:
            _following.begin(self, self._loop)

    def _batch(self) -> "tuple[bytes, list[tuple[Any, ...]], list[tuple[Any, ...]]]":
        """The next datagram, and what is in it: less where letters beyond ASCII take up to twelve bytes each."""
        most = DATAGRAM
        while True:
            notes, ran = _taken(self._notes, most), _taken(self._ran, most)
            data = self._datagram(notes, ran)
            if len(data) <= DATAGRAM_BYTES or most == 1:
                return data, notes, ran
            self._put_back(notes, ran)
            most //= 2

    def _put_back(self, notes: "list[tuple[Any, ...]]", ran: "list[tuple[Any, ...]]") -> None:
        self._notes.extendleft(reversed(notes))
        self._ran.extendleft(reversed(ran))

    def _tell_under_way(self) -> None:
        """What ran so far for requests that have not ended: whoever samples the service does not wait for their end."""
        now_ns = _now_ns()
        try:
            under_way = list(self.under_way)
        except RuntimeError:  # without a lock of the interpreter it may change meanwhile
            return
        for one in under_way:
            if now_ns - one.began_ns > LONGEST_S * 1e9:
                self.under_way.discard(one)
                continue
            with contextlib.suppress(Exception):  # its own thread goes on meanwhile
                one.tell(now_ns)

    def _hang_up(self) -> None:
        self.on = False
        _following.end(self)
        self.under_way.clear()
        self._notes.clear()
        self._ran.clear()
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _listener(self) -> "socket.socket | None":
        """A socket to whoever listens; None where nobody does, or somebody who is neither this user nor root."""
        try:
            if not self._is_trusted():
                return None
            found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:
            return None
        try:
            found.setblocking(False)
            found.connect(self._path)
        except OSError:
            found.close()
            return None
        return found

    def _is_trusted(self) -> bool:
        """Whether nobody but this user and root made the socket, or can put another one in its place meanwhile."""
        folder = os.path.dirname(self._path) or "."  # noqa: PTH120  no import more
        # Of a folder that is a link, the link as well: whoever owns it may turn it elsewhere.
        link, inside, told = os.lstat(folder), os.stat(folder), os.lstat(self._path)  # noqa: PTH116
        ours = all(one.st_uid in (0, os.geteuid()) for one in (link, inside, told))
        return ours and stat.S_ISSOCK(told.st_mode) and not inside.st_mode & _OTHERS_MAY_WRITE

    def _datagram(self, batch: "list[tuple[Any, ...]]", ran: "list[tuple[Any, ...]]") -> bytes:
        told = {
            "v": 1,
            "pid": os.getpid(),
            "dropped": self.dropped,
            "requests": batch,
            "ahead": self._ahead_ns,
            "ran": ran,
        }
        return _json(told).encode()


def _taken(notes: "deque[tuple[Any, ...]]", most: int) -> "list[tuple[Any, ...]]":
    return [notes.popleft() for _ in range(min(most, len(notes)))]


class LoadflameASGI:
    """Around an ASGI 3 application; websockets and lifespan go through as they are."""

    def __init__(self, app: Any, socket_path: "str | None" = None, *, follow: bool = True) -> None:
        """`follow`: see above, what a request hands on."""
        self.app = app
        self.teller = Teller(socket_path or default_path())
        self.follow = follow

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One connection, or one request."""
        teller = self.teller
        if not teller.on:
            if not teller.started:
                teller.start(_running_loop() if self.follow else None)
            await self.app(scope, receive, send)
            return
        around = _request.get()
        if around is not None and around.scope is not None:
            _let_go()
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = _Sent()
        sent.sending, sent.status, sent.ended_ns = send, 0, 0
        answering = self.app(scope, receive, sent.noting)
        request = _Request()
        request.scope, request.sent, request.told, request.elsewhere = scope, sent, False, []
        request.teller, request.thread = teller, _thread_id()
        request.began_ns = began_ns = _now_ns()
        # An application need not be a coroutine function; of what else can be awaited, no step is seen.
        request.steps_ns = steps_ns = [began_ns] if hasattr(answering, "send") else []
        if len(teller.under_way) < UNDER_WAY:
            teller.under_way.add(request)
        if self.follow:
            _request.set(request)
        try:
            await (_stepping(answering, steps_ns) if steps_ns else answering)
        except asyncio.CancelledError:
            sent.status = sent.status or 499  # the client has gone
            raise
        except BaseException:
            sent.status = sent.status or 500
            raise
        finally:
            request.end()


@coroutine
def _stepping(answering: Any, steps_ns: "list[int]") -> Any:
    """Await a coroutine, as if it were awaited itself, and keep when each of its steps began and ended.

    Whatever is sent, thrown, given back or raised goes through as it is; it is the same task, in the same context. The
    first step was begun already, and what ends the last one ends the request.
    """
    go_on, sent = answering.send, None
    while True:
        try:
            given = go_on(sent)
        except StopIteration as end:
            return end.value
        sent = None
        if len(steps_ns) & 1:
            steps_ns.append(_now_ns())
        try:
            sent = yield given
            go_on = answering.send
        except GeneratorExit:  # nobody goes on with it
            answering.close()
            raise
        except BaseException as error:  # noqa: BLE001  what was awaited has failed, or the request is cancelled
            go_on, sent = answering.throw, error
        if not len(steps_ns) & 1 and len(steps_ns) < 2 * STEPS:
            steps_ns.append(_now_ns())


class _Task:
    """The coroutine of a task that a request's code began: its steps are among the request's, as the loop takes them.

    Whoever looks at it sees the coroutine: the names, frame and state that debuggers and task groups ask for.
    """

    __slots__ = ("__weakref__", "coroutine", "steps_ns")

    def __init__(self, coroutine: Any, steps_ns: "list[int]") -> None:
        self.coroutine = coroutine
        self.steps_ns = steps_ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self.coroutine, name)

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._step(self.coroutine.send, None)

    def send(self, value: Any) -> Any:
        """Go on with a value, as other loops than asyncio's do."""
        return self._step(self.coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception: what was awaited has failed, or the task is cancelled."""
        return self._step(self.coroutine.throw, *error)

    def close(self) -> None:
        """Nobody goes on with it."""
        self.coroutine.close()

    def _step(self, go_on: Any, *what: Any) -> Any:
        steps_ns = self.steps_ns
        # Within a step already, where a task is begun eagerly; or the request is over; or there are too many.
        if len(steps_ns) & 1 or len(steps_ns) >= 2 * STEPS:
            return go_on(*what)
        steps_ns.append(_now_ns())
        try:
            return go_on(*what)
        finally:
            if self.steps_ns is steps_ns:
                if len(steps_ns) & 1:
                    steps_ns.append(_now_ns())
            elif len(steps_ns) & 1:  # it was let go meanwhile: nothing of this was for the request
                steps_ns.pop()


_NO_STEPS = [1 << 62]
"""As if within a step already, one that begins after all time: none is kept."""


def _let_go() -> None:
    """A request begins in a task that code of another request began, which is no part of that any more.

    Servers do so: uvicorn takes up the next request of a connection while it sends the answer of the one before.
    """
    with contextlib.suppress(RuntimeError, AttributeError):  # no task of asyncio's
        steps: Any = asyncio.current_task().get_coro()  # type: ignore[union-attr]
        if type(steps) is _Task:
            steps.steps_ns = _NO_STEPS
    _request.set(None)


def _running_loop() -> Any:
    """The event loop of asyncio, None on one of others."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Sent:
    """What is sent for a request: its status, and when that ended. Attributes are set where it is made."""

    __slots__ = ("ended_ns", "sending", "status")

    ended_ns: int
    sending: Any
    status: int

    def noting(self, message: Any) -> Any:
        """Send, and note what is sent; no coroutine of its own, which would cost as much as all the rest."""
        if message.get("type") == "http.response.start":
            self.status = message.get("status", 0)
        elif not message.get("more_body"):
            self.ended_ns = _now_ns()  # what the service does after its answer is no part of it
        return self.sending(message)


class _Request:
    """A request under way. Its `steps_ns` are those of its own task and of those that it began, on its own thread.

    Attributes are set where it is made: a constructor would cost as much as all of them.
    """

    __slots__ = ("began_ns", "elsewhere", "scope", "sent", "steps_ns", "teller", "thread", "told")

    teller: Teller
    thread: int
    began_ns: int
    told: bool
    sent: Any
    steps_ns: "list[int]"
    """Begins and ends, one after the other: of odd length within a step."""
    elsewhere: "list[list[int]]"
    """Thread, begin and end, or 0, of what other threads did for it."""
    scope: Any
    """None once it has ended."""

    def tell(self, now_ns: int) -> None:
        """Tell of the steps so far, from the thread that sends: those that are over only once."""
        scope = self.scope
        if scope is None or ("app" in scope and "endpoint" not in scope):
            return  # Starlette has not found its route yet
        told = self.steps_ns[:]  # all at once, for its own thread goes on meanwhile
        over = len(told) & ~1
        self.told = self.told or over > 0  # before they go: if the request ends just now, one step is not all of it
        del self.steps_ns[:over]
        if len(told) > over:  # it is in one, and may be for long
            if told[over] < now_ns:
                told.append(now_ns)
            else:
                del told[over:]
        if told or self.elsewhere:
            baggage = next((_ours(value) for name, value in scope["headers"] if name == _BAGGAGE), "")
            endpoint = _route(scope)
            if told:
                self.teller.ran(self.thread, endpoint, told, baggage)
            self._tell_elsewhere(endpoint, baggage, now_ns)

    def _tell_elsewhere(self, endpoint: str, baggage: str, now_ns: int) -> None:
        for stretch in list(self.elsewhere):
            thread, begin_ns, end_ns = stretch
            if end_ns:
                try:
                    self.elsewhere.remove(stretch)
                except ValueError:  # the thread that sends and the request's own both tell just now: once is enough
                    continue
            if end_ns or begin_ns < now_ns:
                self.teller.ran(thread, endpoint, [begin_ns, end_ns or now_ns], baggage)

    def end(self) -> None:
        """Note the request, which has ended: what others still do for it is followed no further."""
        try:
            teller, scope, steps_ns = self.teller, self.scope, self.steps_ns
            teller.under_way.discard(self)
            ended_ns, status = self.sent.ended_ns or _now_ns(), self.sent.status
            trace = baggage = ""
            looks = teller.looks
            if looks > 0 or ended_ns - self.began_ns >= SLOW_NS:
                for name, value in scope["headers"]:
                    if name == _TRACEPARENT:
                        trace = value[3:35].decode("latin-1")
                    elif name == _BAGGAGE:
                        baggage = _ours(value)
                teller.looks = MANY_LOOKS if baggage else looks - 1
            endpoint = _route(scope)
            note, times_ns = teller.note, (self.began_ns, ended_ns)
            if len(steps_ns) == 1 and not (self.told or baggage):  # one step, as most: its thread did nothing else
                note(trace, 0, times_ns, endpoint, status, thread=self.thread)
            else:
                told = steps_ns[:]
                if len(told) & 1:
                    told.append(_now_ns())
                note(trace, 1, times_ns, endpoint, status, thread=self.thread, steps_ns=told, baggage=baggage)
            if self.elsewhere:
                self._tell_elsewhere(endpoint, baggage, _now_ns())
        except Exception:  # noqa: BLE001, S110  a service must not hear of it, whatever it is
            pass
        # Copies of its context may live on, as in what a pool of connections has begun: they hold next to nothing.
        self.scope = self.sent = None
        self.steps_ns[:] = _NO_STEPS


def _ours(baggage: bytes) -> str:
    """What loadflame's load says of a request, nothing for the baggage of others."""
    return baggage[:_BAGGAGE_LENGTH].decode("latin-1") if _OURS in baggage else ""


def _route(scope: Any) -> str:
    """`GET /items/{id}`, as the router says it, or the path."""
    route = getattr(scope.get("route"), "path", None)
    path = scope["path"] if route is None else scope.get("root_path", "") + route
    name = f"{scope['method']} {path}"
    return name if len(name) <= _NAME_LENGTH else f"{scope['method'][:_METHOD_LENGTH]} {path[:_PATH_LENGTH]}"


class LoadflameWSGI:
    """Around a WSGI application (PEP 3333)."""

    def __init__(self, app: Any, socket_path: "str | None" = None) -> None:
        self.app = app
        self.teller = Teller(socket_path or default_path())

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """One request; it ends when the server has closed what it was given."""
        teller = self.teller
        if not teller.on:
            if not teller.started:
                teller.start()
            return self.app(environ, start_response)
        answer = _Answer()
        answer.teller, answer.environ, answer.starting = teller, environ, start_response
        answer.body, answer.status, answer.rule, answer.thread = (), "", None, _thread_id()
        answer.began_ns = _now_ns()
        if len(teller.under_way) < UNDER_WAY:
            teller.under_way.add(answer)
        wrapper = environ.get("wsgi.file_wrapper")
        files: list[Any] = []
        if wrapper is not None and not isinstance(wrapper, type):  # a function: what it makes is known by itself

            def wrapping(*arguments: Any) -> Any:
                files.append(wrapper(*arguments))
                return files[-1]

            environ["wsgi.file_wrapper"] = wrapping
        try:
            body = self.app(environ, answer.noting)
        except BaseException:
            answer.status = "500"
            answer.note()
            raise
        if any(body is one for one in files) if files else (isinstance(wrapper, type) and isinstance(body, wrapper)):
            answer.note()  # servers send such a file by themselves, and know it by what it is
            return body
        answer.body = body
        if hasattr(body, "__len__"):
            answer.__class__ = _SizedAnswer  # it is known already to who starts the response
        return answer


def _rule_of(environ: Any) -> Any:
    """The rule that Flask found for the request that it answers, which is in the environment meanwhile; or None."""
    return getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)


@lru_cache(maxsize=256)
def _number(status: str) -> int:
    """Of `200 OK`; 500 of one who never said how it ended."""
    return int(status[:3] or 500)


class _Answer:
    """What an application gave to be sent: the server walks through the very same, and closes us.

    Attributes are set where it is made: a constructor would cost as much as all of them.
    """

    __slots__ = ("began_ns", "body", "environ", "rule", "starting", "status", "teller", "thread")

    rule: Any
    teller: Teller
    thread: int
    began_ns: int
    starting: Any
    status: str
    body: Any
    environ: Any
    """None once it has ended."""

    def noting(self, status: str, headers: Any, *error: Any) -> Any:
        """Start the response, and note how."""
        self.status = status
        if self.environ is not None:
            self.rule = _rule_of(self.environ)
        return self.starting(status, headers, *error)

    def __iter__(self) -> Any:
        return iter(self.body)

    def close(self) -> None:
        """The server is through with it."""
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        finally:
            self.note()

    def note(self) -> None:
        """Note the request, once."""
        environ, self.environ = self.environ, None
        if environ is None:
            return
        try:
            teller = self.teller
            teller.under_way.discard(self)
            trace = environ["HTTP_TRACEPARENT"][3:35] if "HTTP_TRACEPARENT" in environ else ""
            times_ns, endpoint, status = (self.began_ns, _now_ns()), _endpoint(environ, self.rule), _number(self.status)
            baggage = _ours(environ["HTTP_BAGGAGE"].encode("latin-1", "replace")) if "HTTP_BAGGAGE" in environ else ""
            # Where another thread closes it, nobody knows which one served it when.
            thread, task = self.thread, int(self.thread != _thread_id())
            steps_ns = [*times_ns] if baggage and not task else None
            teller.note(trace, task, times_ns, endpoint, status, thread=thread, steps_ns=steps_ns, baggage=baggage)
        except Exception:  # noqa: BLE001, S110  a service must not hear of it, whatever it is
            pass

    def tell(self, now_ns: int) -> None:
        """Tell that its thread has served it so far, from the thread that sends."""
        environ = self.environ
        if environ is None:
            return
        rule = self.rule or _rule_of(environ)
        if rule is None and environ.get("werkzeug.request") is not None:
            return  # Flask has not found it yet
        baggage = _ours(environ.get("HTTP_BAGGAGE", "").encode("latin-1", "replace"))
        self.teller.ran(self.thread, _endpoint(environ, rule), [self.began_ns, now_ns], baggage)


def _endpoint(environ: Any, rule: "str | None") -> str:
    """`GET /items/<item>`: by the rule, or the path."""
    path = environ.get("SCRIPT_NAME", "") + (rule or environ.get("PATH_INFO", ""))
    name = f"{environ['REQUEST_METHOD']} {path}"
    return name if len(name) <= _NAME_LENGTH else f"{environ['REQUEST_METHOD'][:_METHOD_LENGTH]} {path[:_PATH_LENGTH]}"


class _SizedAnswer(_Answer):
    """One of a body that knows its length: servers ask for it where there is one, and would take none for an error."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.body)
