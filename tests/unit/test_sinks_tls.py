"""A ClickHouse server over TLS: an authority of one's own, passwords in files, client certificates."""

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sinks.connect import open_client
from sinks.errors import StoreError, StoreRefusedError
from sinks.migrate import migrate
from tests.support.certificates import Authority, Pair
from tests.support.clickhouse_http import FakeServer, fake_clickhouse


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


@contextmanager
def server_of(
    tmp_path: Path,
    authority: Authority,
    *identities: str,
    clients: Path | None = None,
    not_after: datetime | None = None,
) -> Iterator[FakeServer]:
    """A server with a certificate for these names; `clients` is the authority of the certificates that it asks for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = identities or ("127.0.0.1",)
    context.load_cert_chain(authority.issue(*names, name="server", not_after=not_after).both)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    with fake_clickhouse(f"{tmp_path}/server", tls=context) as server:
        yield server


def works(url: str) -> None:
    with closing(open_client(url)) as client:
        migrate(client)
        assert client.query("SELECT count() FROM runs").result_rows == [(0,)]


def refused(url: str, said: str, kind: type[StoreError] = StoreError) -> None:
    with pytest.raises(kind, match=said) as caught:
        open_client(url)
    assert "cret" not in str(caught.value).replace("/secret-", "")


def test_a_password_from_a_file_and_an_authority_of_ones_own(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "secret-file").write_text("se/cret\n")
    with server_of(tmp_path, authority) as server:
        works(f"{server.url()}?ca_cert={authority.cafile}")
        bare = f"https://writer@127.0.0.1:{server.port}/flames?ca_cert={authority.cafile}"
        works(f"{bare}&password_file={tmp_path}/secret-file")
        refused(bare, "refuses the user 'writer'", StoreRefusedError)


def test_a_certificate_that_is_not_to_be_trusted_ends_it_before_anything_is_said(
    tmp_path: Path, authority: Authority
) -> None:
    other = Authority(tmp_path / "other", "other")
    with server_of(tmp_path, authority) as server:
        for url in (server.url(), f"{server.url()}?ca_cert={other.cafile}"):
            refused(url, r"is not trusted \(.*\); name the authority that signed it by", StoreRefusedError)
        assert server.requests == []


def test_a_certificate_for_another_host_ends_it(tmp_path: Path, authority: Authority) -> None:
    with server_of(tmp_path, authority, "elsewhere.test") as server:
        refused(f"{server.url()}?ca_cert={authority.cafile}", r"is for another name \(.*127", StoreRefusedError)
        assert server.requests == []


def test_a_certificate_that_is_over_is_told_from_one_that_is_not_trusted(tmp_path: Path, authority: Authority) -> None:
    over = datetime.now(UTC) - timedelta(days=1)
    with server_of(tmp_path, authority, not_after=over) as server:
        refused(f"{server.url()}?ca_cert={authority.cafile}", r"is not valid now \(.*expired", StoreRefusedError)


def test_https_to_a_port_that_speaks_plain(fake_server: FakeServer) -> None:
    refused(fake_server.url().replace("http:", "https:"), "does not speak TLS; write http://", StoreRefusedError)


def test_a_client_certificate_stands_for_the_password_unless_one_is_given_too(
    tmp_path: Path, authority: Authority
) -> None:
    def with_certificate(url: str, pair: Pair) -> str:
        return f"{url}?ca_cert={authority.cafile}&client_cert={pair.certificate}&client_cert_key={pair.key}"

    writer, guest = authority.issue(name="writer"), authority.issue(name="guest")
    stranger = Authority(tmp_path / "other", "other").issue(name="writer")
    with server_of(tmp_path, authority, clients=authority.cafile) as server:
        alone = f"https://writer@127.0.0.1:{server.port}/flames"
        works(with_certificate(alone, writer))
        refused(with_certificate(alone, guest), "refuses the user 'writer'", StoreRefusedError)
        works(with_certificate(server.url(), guest))
        # Whether the server's word on it, or the end of the connection, is heard first, is a matter of luck.
        wants = r"does not (take our certificate|answer) \(.*\); .*name one .*by \?client_cert=FILE"
        refused(with_certificate(alone, stranger), wants)
        refused(f"{server.url()}?ca_cert={authority.cafile}", wants)


WRONG = {
    "a word that is not known": (
        "https://u@h/db?cafile=/x",
        "says cafile, which is not known; known are",
    ),
    "two passwords": ("https://u:secret@h/db?password_file=/x", "has a password and names a file of one"),
    "a certificate over http": ("http://u@h/db?ca_cert=/x", "names a certificate, which http:// does not use"),
    "a file that is not there": ("https://u@h/db?ca_cert=/none", "ca_cert /none cannot be read .No such file"),
    "a password file that is not there": ("https://u@h/db?password_file=/none", "password_file: /none cannot be read"),
    "a key without a certificate": ("https://u@h/db?client_cert_key=/dev/null", "names a key without its certificate"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_url_that_does_not_fit_together_is_refused_before_anybody_is_asked(what: str) -> None:
    refused(*WRONG[what])
