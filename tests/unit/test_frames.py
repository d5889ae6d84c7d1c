"""What the label of a frame tells of the code."""

import pytest

from views.web.frames import kind_of, package_of


@pytest.mark.parametrize(
    ("label", "package", "kind"),
    [
        ("Shop.rank (sample/shop.py)", "(service)", "own"),
        ("main (shop.py)", "(service)", "own"),
        ("get (shop/queue.py)", "(service)", "own"),
        ("BaseEventLoop._run_once (asyncio/base_events.py)", "asyncio", "library"),
        ("RequestHandler.start (aiohttp/web_protocol.py)", "aiohttp", "library"),
        ("WeakSet.add (python3.11/_weakrefset.py)", "_weakrefset", "library"),
        ("socket._real_close (python3.11/socket.py)", "socket", "library"),
        ("EpollSelector.select (python3.11/selectors.py)", "selectors", "idle"),
        ("Condition.wait (python3.11/threading.py)", "threading", "idle"),
        ("ABCMeta.__instancecheck__ (<frozen abc>)", "python", "library"),
        ("__create_fn__.<locals>.__init__ (<string>)", "python", "library"),
        ("wait (shop.py)", "(service)", "own"),
        ("(unattributed)", "(unattributed)", "unattributed"),
        ("native_thing", "(service)", "own"),
    ],
)
def test_a_label_tells_package_and_kind(label: str, package: str, kind: str) -> None:
    assert (package_of(label), kind_of(label)) == (package, kind)
