"""Dead letters in words: bounded, and harmless to whoever reads them on a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadflame.dead_letters import NoSuchLetterError, named
from loadflame.letter_text import as_json, details, hexdump, state_of
from loadflame.plain_text import plain
from loadflame.settings import read_settings
from processors.letters import Original
from sinks.letters import KnownLetter
from sinks.store import DeadLetter

LETTER = DeadLetter("loadflame.requests", 1, 7, "no Arrow stream", 1_790_000_000_000_000, 12, "run-1", 20)
KNOWN = KnownLetter(LETTER, is_visible=False, replayed_at_us=None)


@given(st.binary(max_size=200))
def test_a_hexdump_holds_every_byte_and_nothing_else(data: bytes) -> None:
    lines = hexdump(data)
    assert bytes.fromhex("".join(line[10:57] for line in lines)) == data
    assert [int(line[:8], 16) for line in lines] == list(range(0, len(data), 16))
    assert all(line.isascii() and line.isprintable() for line in lines)


@given(st.text())
def test_plain_text_moves_no_cursor(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(text) == text or not text.isprintable()


STATES = {
    "nobody did anything": (KNOWN, "waits"),
    "it was sent again": (KnownLetter(LETTER, is_visible=False, replayed_at_us=1), "replayed"),
    "it was stored since": (KnownLetter(LETTER, is_visible=True, replayed_at_us=1), "visible"),
    "its batch came on another way": (KnownLetter(LETTER, is_visible=True, replayed_at_us=None), "visible"),
}


@pytest.mark.parametrize(("known", "state"), STATES.values(), ids=STATES)
def test_what_became_of_a_letter(known: KnownLetter, state: str) -> None:
    assert state_of(known) == as_json(known)["state"] == state


def test_of_letters_that_share_a_name_the_newest_is_meant() -> None:
    older = KnownLetter(DeadLetter("loadflame.requests", 1, 7, "older", 5, 1), is_visible=False, replayed_at_us=None)
    assert named([KNOWN, older], ["loadflame.requests/1/7"] * 2) == [KNOWN]
    with pytest.raises(NoSuchLetterError, match="'x/0/0' in the store; `loadflame dead-letters list`"):
        named([KNOWN], ["x/0/0"])


def test_whatever_a_message_holds_only_a_little_is_shown_and_nothing_of_it_is_acted_on() -> None:
    headers = [("kind\x1b[2J", b"\xff\x1b[31m" + b"v" * 5000), ("none", None)]
    said = details(read_settings(), KNOWN, Original(None, b"\x00" * 900_000, headers, "letter", is_whole=False))
    assert (said["in_kafka"], said["reads_now"]) == ("cut", False)
    assert len(said["first_bytes"]) == 512
    (name, value), none = said["headers"]
    assert name == "kind\\x1b[2J"
    assert value.startswith("\\xff\\x1b[31mvvv")
    assert value.endswith("... (5006 bytes)")
    assert len(value) < 400
    assert none == ["none", "(none)"]


def test_what_kafka_has_no_more_is_shown_as_the_store_knows_it() -> None:
    assert details(read_settings(), KNOWN, None) == as_json(KNOWN) | {"in_kafka": "gone"}
