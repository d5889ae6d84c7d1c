"""Damaged messages, for as long as one likes: `python -m tests.faults.fuzzing 60 --seed 7`.

Real messages of every kind are bent, cut and spliced, in their headers and in their values, and read as a worker reads
them. Whatever comes of it: a batch or event that is right by its own account, or DecodeError, and nothing else; within
bounds of memory and time for each. A round is told by seed and number, and is the same wherever it is run.
"""

import argparse
import faulthandler
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import pyarrow as pa

from processors.announcements import window_event
from processors.join import join_window
from schemas.batches import BatchHeader
from schemas.codec import LIMITS, decode
from schemas.errors import DecodeError
from schemas.events import (
    CheckOutcome,
    EventData,
    FindingMade,
    LoadTotals,
    ProducerEnded,
    RunChecked,
    RunEnded,
    RunJudged,
    RunStarted,
    StageEntered,
    from_message,
)
from schemas.rows import RequestFacts, schema_of
from schemas.topics import BULK, Topics
from tests.support.batches import (
    RUN,
    WINDOW,
    WINDOW_US,
    many_requests,
    many_samples,
    request_batch,
    stack_batch,
)
from tests.support.records import Log

ARROW_BYTES = 3 * LIMITS.inflated_bytes
"""Arrow's memory for one message: as much as may be declared, twice while buffers grow, and what it came in."""
GROWTH_BYTES = 96 << 20
"""Growth of the process's greatest memory over all rounds: what is refused is let go again."""
ROUND_S = 1.0
"""CPU for one message; a good one takes some milliseconds."""
_WARM_ROUNDS, _LEAST_ROUNDS = 200, 2_000
"""The latter also where they take longer than they are to: of fewer not every kind is refused and read."""
_WORDS = (0, 1, 2, 4, 8, 16, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it comes from Kafka; `topic` is the kind."""

    topic: str
    headers: Headers
    value: bytes | None


@dataclass(slots=True)
class Report:
    """What became of the rounds; `refused` and `read` are counts by topic."""

    seed: int
    rounds: int = 0
    seconds: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    arrow_bytes: int = 0
    growth_bytes: int = 0
    slowest_s: float = 0.0

    def __str__(self) -> str:
        counts = ", ".join(
            f"{topic} {self.refused[topic]} refused and {self.read[topic]} read"
            for topic in sorted(self.refused | self.read)
        )
        return (
            f"seed {self.seed}: {self.rounds} damaged messages in {self.seconds:.0f} s ({counts}); for one at most "
            f"{self.arrow_bytes / 2**20:.1f} MiB of Arrow's memory and {self.slowest_s * 1000:.0f} ms of CPU; the "
            f"process's greatest memory grew by {self.growth_bytes / 2**20:.1f} MiB"
        )


class FuzzError(AssertionError):
    """A message was read, or refused, in a way that it must not be; says which."""


def fuzz(seconds: float, seed: int, read: Callable[[Letter], bool] | None = None) -> Report:
    """Damage and read messages for so long. `read` says whether one was read, False when it was refused as it should.

    Raises FuzzError at the first that goes wrong.
    """
    read = read or read_letter
    letters = real_letters()
    report = Report(seed)
    usual = pa.default_memory_pool()
    began, first_bytes = time.monotonic(), 0
    try:
        while time.monotonic() - began < seconds or report.rounds < _LEAST_ROUNDS:
            letter = damaged(letters, Random(f"{seed}/{report.rounds}"))
            watched = pa.proxy_memory_pool(usual)
            pa.set_memory_pool(watched)
            cpu_s = time.process_time()
            try:
                (report.read if read(letter) else report.refused)[letter.topic] += 1
            except Exception as error:
                raise FuzzError(f"seed {seed}, round {report.rounds}: {letter.topic}: {error!r}") from error
            cpu_s = time.process_time() - cpu_s
            report.arrow_bytes = max(report.arrow_bytes, watched.max_memory() or 0)
            report.slowest_s = max(report.slowest_s, cpu_s)
            report.rounds += 1
            if report.rounds == _WARM_ROUNDS:
                first_bytes = _greatest_bytes()
            if report.arrow_bytes > ARROW_BYTES or report.slowest_s > ROUND_S:
                raise FuzzError(f"too much for one message, round {report.rounds - 1}: {report}")
    finally:
        pa.set_memory_pool(usual)
    report.seconds = time.monotonic() - began
    report.growth_bytes = _greatest_bytes() - first_bytes if first_bytes else 0
    if report.growth_bytes > GROWTH_BYTES:
        raise FuzzError(f"memory grew: {report}")
    return report


def read_letter(letter: Letter) -> bool:
    """Read as a worker does; False when it is refused. What is let through must be what it says that it is."""
    try:
        if letter.topic not in BULK:
            from_message(letter.headers, letter.value)
            return True
        header = BatchHeader.from_kafka(letter.topic, letter.headers)
        batch = decode(header, letter.value or b"")
    except DecodeError:
        return False
    batch.rows.validate(full=True)
    assert batch.rows.schema.equals(schema_of[header.key.topic], check_metadata=False)
    assert batch.rows.num_rows == header.rows <= LIMITS.rows
    return True


def real_letters() -> list[Letter]:
    """Messages of every kind, as our own producers and workers make them; the same ones each time."""
    log = Log(Topics("t"))
    for number, rows in enumerate((0, 3, 40, 2_000)):
        facts = RequestFacts(engine="wire", scheduled=rows, sent=rows)
        requests, samples = many_requests(rows, seed=number), many_samples(rows, distinct=20, depth=6, seed=number)
        log.batch(request_batch(requests, window=WINDOW + number, facts=facts, final=True, goodbye=not rows))
        log.batch(stack_batch(samples, window=WINDOW + number, final=True))
    for kind in BULK:
        log.tick(log.place(kind, 0))
    bulk = [(log.topics.kind(record.place.topic), record) for records in log.records.values() for record in records]
    letters = bulk + [(event.topic, log.event(event)) for event in _events()]
    return [Letter(kind, [*record.headers], record.value) for kind, record in letters]


def _events() -> list[EventData]:
    """One of every type that travels."""
    at_us = WINDOW * WINDOW_US
    batches = [request_batch(many_requests(40))], [stack_batch(many_samples(40, distinct=7, depth=4))]
    joined = join_window(RUN, WINDOW, WINDOW_US, *batches, closed_by="producers")
    stage = {"label": "hold", "stage": "hold", "form": "hold", "visit": 0, "rate_from_tps": 50.0, "rate_to_tps": 50.0}
    acknowledged = {"producer_id": "p", "role": "load", "batches_acknowledged": 3, "rows_acknowledged": 90}
    return [
        RunStarted(
            run_id=RUN,
            service="shop",
            target="http://127.0.0.1:1/",
            started_at_us=at_us,
            window_us=WINDOW_US,
            partitions=4,
            engine="wire",
            plan={"stages": [{"name": "hold", "hold": 50, "for": "4s"}], "requests": [{"name": "a", "path": "/"}]},
        ),
        StageEntered(run_id=RUN, starts_at_us=at_us, ends_at_us=at_us + 4 * WINDOW_US, **stage),
        ProducerEnded(run_id=RUN, totals=LoadTotals(scheduled=90, sent=90, completed=90), **acknowledged),
        RunEnded(run_id=RUN, ended_at_us=at_us + 4 * WINDOW_US, reason="finished", producers=2),
        RunChecked(run_id=RUN, checks=[CheckOutcome(name="I1", ok=True, sentence="3 batches")]),
        RunJudged(run_id=RUN, verdict="passed"),
        window_event(joined),
        FindingMade(run_id=RUN, kind="growth", summary="f grows", function="f", evidence={"growth": [1.5, 2.0, None]}),
    ]


def damaged(letters: Sequence[Letter], random: Random) -> Letter:
    """One of these, damaged once or a few times, in its headers, its value or both."""
    letter = random.choice(letters)
    headers, value = list(letter.headers), bytearray(letter.value or b"")
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        if random.random() < 0.75:
            value = _bent(value, random.choice(letters).value or b"", random)
        else:
            headers = _bent_headers(headers, random.choice(letters).headers, random)
    return Letter(letter.topic, headers, None if random.random() < 0.002 else bytes(value))


def _bent(value: bytearray, other: bytes, random: Random) -> bytearray:
    """Bytes after one accident."""
    at = random.randrange(len(value) + 1)
    near = at + random.choice((1, 4, 8, 64, 1024))
    match random.randrange(8):
        case 0 if value:
            value[min(at, len(value) - 1)] ^= 1 << random.randrange(8)
        case 1:  # lengths, counts and offsets are words of four or eight bytes, at places that four divides
            size = random.choice((4, 8))
            at -= at % 4
            value[at : at + size] = random.choice(_WORDS).to_bytes(size, "little")
        case 2:
            del value[at:]
        case 3:
            del value[at:near]
        case 4:
            value[at:at] = value[at:near]
        case 5:  # two messages in one, where Arrow's parts begin: at places that eight divides
            at -= at % 8
            start = random.randrange(len(other) + 1)
            value[at:] = other[start - start % 8 :]
        case 6:
            value[at:near] = random.randbytes(near - at)
        case _:
            value += random.randbytes(random.choice((1, 8, 600)))
    return value


def _bent_headers(headers: Headers, others: Headers, random: Random) -> Headers:
    """Headers after one accident."""
    at = random.randrange(len(headers) + 1)
    if at == len(headers):
        return [*headers, *random.choices(others, k=2)]
    name, value = headers[at]
    match random.randrange(6):
        case 0:
            return headers[:at] + headers[at + 1 :]
        case 1:
            bent: bytes | None = None
        case 2:
            bent = bytes(_bent(bytearray(value or b""), b"", random))
        case 3:
            bent = random.choice((b"", b"-1", b"9" * 400, b"\xff\xfe", "\u0661".encode(), b"1e3", b"NaN", b"\0"))
        case 4:
            bent = random.choice(others)[1]
        case _:
            name, bent = random.choice((name.upper(), name + "\udcff", "", "ce_" + name)), value
    return [*headers[:at], (name, bent), *headers[at + 1 :]]


def _greatest_bytes() -> int:
    """The most memory that the process has had so far. Source: getrusage(2), KiB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    faulthandler.enable()  # what Arrow's own code does wrong may end the process
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    try:
        print(fuzz(options.seconds, options.seed))  # noqa: T201  what it is run for
    except FuzzError as error:
        sys.exit(str(error))
