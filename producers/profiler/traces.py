"""What the samplers print, read into stacks. Pure; a line that makes no sense gives None, never an exception.

austin 3.7:  `P4711;T0:4712;/srv/shop.py:Shop.sweep:31;... 2533`   (path:function:line, root first, then microseconds)
py-spy raw:  `main (shop.py);Shop.sweep (shop.py) 17`              (root first, then the number of samples)
"""

from dataclasses import dataclass

from schemas.stacks import fold, frame, split_frame, unfold

MAX_LINE_BYTES = 64 << 10

# Leaves in which a thread waits. A sampler that looks after the fact may find it there with the processor already in
# other hands, so such samples are the wall clock's, never charged with CPU.
_WAITING_FILES = ("threading.py", "selectors.py", "queue.py", "socket.py", "ssl.py", "asyncio/base_events.py")
_WAITING_FUNCTIONS = frozenset(
    {"wait", "select", "poll", "epoll", "accept", "recv", "recv_into", "read", "sleep", "acquire", "get", "join"}
)
# Between two tasks a pool's thread waits in C, under this frame; it was the leaf of 31% of all samples of a pool.
_IDLE_POOL_THREAD = ("_worker", "futures/thread.py")


@dataclass(frozen=True, slots=True)
class AustinStack:
    """What a line of austin says besides its weight; the same for every sample of one stack on one thread."""

    thread_id: int
    stack: str
    mode: str


def split_weight(line: bytes) -> tuple[bytes, int] | None:
    """A line as the text before its last blank and the number behind it."""
    text, blank, number = line.rstrip().rpartition(b" ")
    if not blank or not number.isdigit() or len(number) > 9 or len(line) > MAX_LINE_BYTES:
        return None
    return text, int(number)


def austin_stack(text: bytes) -> AustinStack | None:
    """The part of an austin line before its weight; None for a comment or for a sample that austin calls invalid."""
    fields = text.decode(errors="replace").split(";")
    if len(fields) < 2 or not fields[0].startswith("P") or not fields[1].startswith("T"):
        return None
    thread = fields[1].rpartition(":")[2].lstrip("T")
    labels = []
    for field in fields[2:]:
        if not field:
            continue
        file, _, rest = field.partition(":")
        function = rest.rpartition(":")[0]
        if not function or not file:
            return None  # `:INVALID:` and its kin: the stack changed while it was read
        labels.append(frame(function, file))
    if not thread.isdigit():
        return None
    return AustinStack(int(thread), fold(labels), mode_of(labels))


def pyspy_stack(text: bytes) -> tuple[str, str]:
    """Stack and mode of a py-spy raw line before its count."""
    labels = unfold(text.decode(errors="replace"))
    labels = tuple(frame(*split_frame(label)) for label in labels if not label.startswith("thread ("))
    return fold(labels), mode_of(labels)


def mode_of(labels: list[str] | tuple[str, ...]) -> str:
    """`wall` for a stack whose leaf is a known wait, else `cpu`."""
    if not labels:
        return "cpu"
    function, file = split_frame(labels[-1])
    name = function.rpartition(".")[2]
    waits = (name in _WAITING_FUNCTIONS and file.endswith(_WAITING_FILES)) or (name, file) == _IDLE_POOL_THREAD
    return "wall" if waits else "cpu"
