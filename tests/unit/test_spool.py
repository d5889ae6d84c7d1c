"""The spool: first in first out, bounded, one process at a time, and there again after any end of its process."""

import errno
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from producers.publisher.messages import Message
from producers.publisher.spool import Spool, SpoolHeldError, SpoolPlace, Waiting, broker_of, segments_of
from producers.publisher.spool_records import to_record
from tests.support.spools import batch, event

PLENTY = 1 << 30
OPENED: list[Spool] = []
A_RECORD = len(to_record(batch(1)))


def spool_in(folder: Path, *, limit_bytes: int = PLENTY, segment_bytes: int = 3 * A_RECORD, name: str = "p") -> Spool:
    spool = Spool(SpoolPlace(folder, limit_bytes), name, broker="kafka:9092", segment_bytes=segment_bytes)
    OPENED.append(spool)
    return spool


def left_in(folder: Path) -> Spool:
    spool = Spool.left_behind(folder)
    OPENED.append(spool)
    return spool


@pytest.fixture(autouse=True)
def let_go():
    """A process closes its spool at its end; the files of one test are no affair of the next."""
    yield
    while OPENED:
        OPENED.pop().close()


def drained(spool: Spool) -> list[Message]:
    """Everything that is in it, taken out."""
    found = []
    while messages := spool.peek(PLENTY, 2):
        found += messages
        spool.drop()
    return found


def crash(spool: Spool) -> None:
    """What is left of a process that was killed: its files, as they are, and no lock."""
    assert spool._lock is not None
    os.close(spool._lock)
    spool._lock = None
    for file in (spool._writer, spool._reader):
        if file is not None:
            file.close()


def test_messages_come_out_as_they_went_in(tmp_path):
    spool = spool_in(tmp_path)
    messages = [batch(1), event("started"), batch(2, rows=7), batch(3)]
    for message in messages:
        spool.append(message)
    assert spool.waiting == Waiting(messages=4, batches=3, rows=27)
    assert drained(spool) == messages
    assert spool.waiting == Waiting()


def test_what_is_not_said_to_be_delivered_is_given_again(tmp_path):
    spool = spool_in(tmp_path)
    spool.append(batch(1))
    spool.append(batch(2))
    assert spool.peek(PLENTY, 1) == [batch(1)]
    assert spool.peek(PLENTY, 1) == [batch(1)]
    assert spool.waiting.batches == 2
    spool.drop()
    assert spool.peek(PLENTY, 1) == [batch(2)]


@pytest.mark.parametrize(
    ("most_bytes", "most", "given"),
    [
        pytest.param(PLENTY, 3, 3, id="so many"),
        pytest.param(150, 9, 2, id="until the bytes are enough"),
        pytest.param(1, 9, 1, id="one at least, however large"),
        pytest.param(PLENTY, 9, 3, id="of one segment at most"),
    ],
)
def test_a_look_is_bounded(tmp_path, most_bytes, most, given):
    spool = spool_in(tmp_path)
    for number in range(7):
        spool.append(batch(number))
    assert len(spool.peek(most_bytes, most)) == given


def test_nothing_is_on_disk_before_the_first_message_and_after_the_last(tmp_path):
    spool = spool_in(tmp_path / "spool")
    assert not (tmp_path / "spool").exists()
    spool.append(batch(1))
    assert broker_of(spool.folder) == "kafka:9092"
    assert drained(spool) == [batch(1)]
    assert segments_of(spool.folder) == []
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


def test_segments_go_as_they_are_delivered(tmp_path):
    spool = spool_in(tmp_path)
    for number in range(9):
        spool.append(batch(number))
    assert len(segments_of(spool.folder)) == 3
    spool.peek(PLENTY, 3)
    spool.drop()
    assert (len(segments_of(spool.folder)), spool.bytes) == (2, 6 * A_RECORD)


def test_after_the_end_nothing_is_taken(tmp_path):
    spool = spool_in(tmp_path / "spool")
    spool.close()
    with pytest.raises(OSError, match="closed"):
        spool.append(batch(1))
    assert not (tmp_path / "spool").exists()


def test_only_its_user_may_read_it(tmp_path):
    spool = spool_in(tmp_path / "spool")
    spool.append(batch(1))
    (segment,) = segments_of(spool.folder)
    assert [path.stat().st_mode & 0o077 for path in (tmp_path / "spool", spool.folder, segment)] == [0, 0, 0]


class TestBounds:
    def test_beyond_the_limit_a_message_is_refused_and_nothing_changes(self, tmp_path):
        spool = spool_in(tmp_path, limit_bytes=2 * A_RECORD)
        spool.append(batch(1))
        spool.append(batch(2))
        with pytest.raises(OSError, match="the spool has reached its limit") as refused:
            spool.append(batch(3))
        assert refused.value.errno == errno.EDQUOT
        assert drained(spool) == [batch(1), batch(2)]

    def test_there_is_room_again_once_some_is_delivered(self, tmp_path):
        spool = spool_in(tmp_path, limit_bytes=3 * A_RECORD)
        for number in range(3):
            spool.append(batch(number))
        drained(spool)
        spool.append(batch(3))
        assert drained(spool) == [batch(3)]

    def test_what_others_left_counts(self, tmp_path):
        other = spool_in(tmp_path, name="other")
        other.append(batch(1))
        spool = spool_in(tmp_path, limit_bytes=2 * A_RECORD)
        spool.append(batch(2))
        with pytest.raises(OSError, match="limit"):
            spool.append(batch(3))

    def test_a_disk_that_takes_half_a_record_has_taken_none(self, tmp_path):
        """With a limit on the size of files, which is a full disk that needs no root: half of a record is written."""
        spool = spool_in(tmp_path, segment_bytes=PLENTY)
        spool.append(batch(1))
        with LargestFile(A_RECORD + A_RECORD // 2), pytest.raises(OSError, match="too large") as refused:
            spool.append(batch(2))
        assert refused.value.errno == errno.EFBIG
        assert segments_of(spool.folder)[0].stat().st_size == A_RECORD
        spool.append(batch(3))
        assert drained(spool) == [batch(1), batch(3)]

    def test_a_first_record_that_is_not_taken_leaves_nothing(self, tmp_path):
        spool = spool_in(tmp_path)
        with LargestFile(A_RECORD // 2), pytest.raises(OSError, match=r"too large|no space"):
            spool.append(batch(1))
        assert segments_of(spool.folder) == []
        assert spool.waiting == Waiting()
        spool.append(batch(2))
        assert drained(spool) == [batch(2)]

    def test_where_half_a_record_cannot_even_be_cut_off_the_next_goes_into_another_segment(self, tmp_path, monkeypatch):
        spool = spool_in(tmp_path, segment_bytes=PLENTY)
        spool.append(batch(1))
        monkeypatch.setattr("producers.publisher.spool._write_all", fails_after(10))
        spool._writer = Uncut(spool._writer)
        with pytest.raises(OSError, match=r"too large|no space"):
            spool.append(batch(2))
        monkeypatch.undo()
        spool.append(batch(3))
        assert len(segments_of(spool.folder)) == 2
        assert drained(spool) == [batch(1), batch(3)]

    def test_a_place_that_cannot_be_written_is_an_error_each_time_and_no_more(self, tmp_path):
        (tmp_path / "spool").write_text("a file stands where the folder should be")
        spool = spool_in(tmp_path / "spool")
        for _ in range(2):
            with pytest.raises(FileExistsError):
                spool.append(batch(1))
        assert spool.waiting == Waiting()
        (tmp_path / "spool").unlink()
        spool.append(batch(1))
        assert drained(spool) == [batch(1)]


class LargestFile:
    """No file may grow beyond so many bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def __enter__(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


def fails_after(written: int):
    def write(file, data):
        file.write(data[:written])
        raise OSError(errno.ENOSPC, "no space left")

    return write


class Uncut:
    """A file that cannot be cut off."""

    def __init__(self, file) -> None:
        self._file = file

    def truncate(self, _: int) -> None:
        raise OSError(errno.EIO, "no")

    def __getattr__(self, name):
        return getattr(self._file, name)


class TestLeftBehind:
    def test_what_a_killed_process_had_spooled_is_there(self, tmp_path):
        spool = spool_in(tmp_path)
        messages = [batch(number) for number in range(5)]
        for message in messages:
            spool.append(message)
        crash(spool)
        left = left_in(spool.folder)
        assert left.broker == "kafka:9092"
        assert drained(left) == messages
        left.close()
        assert not spool.folder.exists()

    def test_a_process_that_is_killed_lets_go_of_it(self, tmp_path):
        code = (
            "import sys, time, pathlib\n"
            "from producers.publisher.spool import Spool, SpoolPlace\n"
            "from tests.support.spools import batch\n"
            "spool = Spool(SpoolPlace(pathlib.Path(sys.argv[1]), 1 << 30), 'p', broker='kafka:9092')\n"
            "spool.append(batch(1))\n"
            "print('written', flush=True)\n"
            "time.sleep(600)\n"
        )
        root = Path(__file__).parents[2]
        with subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=root, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"written\n"
            with pytest.raises(SpoolHeldError):
                left_in(tmp_path / "p")
            process.kill()
            process.wait()
        assert drained(left_in(tmp_path / "p")) == [batch(1)]

    def test_a_record_that_was_half_written_is_left_out(self, tmp_path):
        spool = spool_in(tmp_path)
        for number in range(5):
            spool.append(batch(number))
        crash(spool)
        last = segments_of(spool.folder)[-1]
        os.truncate(last, last.stat().st_size - 3)
        assert drained(left_in(spool.folder)) == [batch(number) for number in range(4)]

    def test_damage_in_one_segment_costs_the_rest_of_that_one(self, tmp_path):
        spool = spool_in(tmp_path)
        for number in range(9):
            spool.append(batch(number))
        crash(spool)
        damage(segments_of(spool.folder)[1], at=A_RECORD + 20)
        assert drained(left_in(spool.folder)) == [batch(number) for number in (0, 1, 2, 3, 6, 7, 8)]

    def test_damage_in_ones_own_is_counted(self, tmp_path):
        spool = spool_in(tmp_path)
        for number in range(9):
            spool.append(batch(number))
        damage(segments_of(spool.folder)[1], at=A_RECORD + 20)
        assert len(drained(spool)) == 7
        assert (spool.damaged, spool.waiting) == (Waiting(2, 2, 20), Waiting())

    def test_one_process_at_a_time(self, tmp_path):
        spool = spool_in(tmp_path)
        spool.append(batch(1))
        with pytest.raises(SpoolHeldError):
            left_in(spool.folder)
        spool.close()
        left = left_in(spool.folder)
        with pytest.raises(SpoolHeldError):
            left_in(spool.folder)
        left.close()
        assert drained(left_in(spool.folder)) == [batch(1)]

    def test_one_that_was_sent_meanwhile_is_gone(self, tmp_path):
        spool = spool_in(tmp_path)
        spool.append(batch(1))
        drained(spool)
        spool.close()
        with pytest.raises(FileNotFoundError):
            left_in(spool.folder)

    def test_one_of_another_version_is_not_touched(self, tmp_path):
        spool = spool_in(tmp_path)
        spool.append(batch(1))
        spool.close()
        (spool.folder / "about.json").write_text('{"format": 2, "broker": "kafka:9092"}')
        with pytest.raises(ValueError, match="not a spool of this version"):
            left_in(spool.folder)
        assert len(segments_of(spool.folder)) == 1


def damage(path: Path, *, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


class SpoolMachine(RuleBasedStateMachine):
    """However it is filled, read, refused and killed: what was taken in comes out, in order, and nothing else.

    After a kill some of what was delivered already comes once more, in front: from the beginning of its segment.
    """

    @initialize(room=st.integers(2, 12))
    def begin(self, room):
        self.folder = tempfile.TemporaryDirectory()
        self.spool = spool_in(Path(self.folder.name), limit_bytes=room * A_RECORD)
        self.number = 0
        self.waits: list[Message] = []
        self.delivered: list[Message] = []
        self.given: list[Message] = []

    @rule()
    def append(self):
        self.number += 1
        message = batch(self.number)
        try:
            self.spool.append(message)
        except OSError:
            return
        self.waits.append(message)

    @rule(most=st.integers(1, 4))
    def peek(self, most):
        given = self.spool.peek(PLENTY, most)
        assert given == self.waits[: len(given)]
        assert given or not self.waits
        assert given[: len(self.given)] == self.given
        self.given = given

    @rule()
    def drop(self):
        self.spool.drop()
        self.delivered += self.given
        self.waits = self.waits[len(self.given) :]
        self.given = []
        assert self.spool.waiting.messages == len(self.waits)

    @precondition(lambda self: self.spool._lock is not None)
    @rule(orderly=st.booleans())
    def end(self, orderly):
        if orderly:
            self.spool.close()
        else:
            crash(self.spool)
        if self.spool.folder.exists():
            left = left_in(self.spool.folder)
            again = drained(left)
            left.close()
        else:
            again = []
        repeated = len(again) - len(self.waits)
        assert 0 <= repeated <= min(3, len(self.delivered))
        assert again == self.delivered[len(self.delivered) - repeated :] + self.waits
        assert not self.spool.folder.exists()
        place = self.spool._place
        self.spool = spool_in(place.folder, limit_bytes=place.limit_bytes, name=f"p{self.number}")
        self.waits, self.given = [], []

    def teardown(self):
        if hasattr(self, "spool"):
            while OPENED:
                OPENED.pop().close()
            self.folder.cleanup()


TestWhateverHappens = SpoolMachine.TestCase
TestWhateverHappens.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
