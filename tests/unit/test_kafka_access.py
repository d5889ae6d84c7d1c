"""How Kafka lets us in, from the settings: what does not fit together is one sentence, without a secret."""

import ssl
from pathlib import Path

import pytest

from loadflame.kafka_access import security_of
from loadflame.settings import Settings, read_settings
from schemas.errors import UserError
from schemas.kafka_security import PLAINTEXT
from tests.support.certificates import Authority

PASSWORD, KEY_PASSWORD = "kafka-hunter2", "key-hunter2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a pair with a key that is encrypted and one with a key that is not, and files of other things."""
    made = tmp_path_factory.mktemp("certificates")
    authority = Authority(made)
    authority.issue(name="locked", password=KEY_PASSWORD)
    authority.issue(name="open")
    (made / "text").write_text("no certificate\n")
    (made / "empty").write_text("\n")
    (made / "bytes").write_bytes(b"\xff\xfe" + PASSWORD.encode())
    (made / "password").write_text(f"{PASSWORD}\n")
    return made


def settings_of(monkeypatch: pytest.MonkeyPatch, folder: Path, **values: str) -> Settings:
    """As from the environment; `{}` in a value is the folder."""
    monkeypatch.setenv("LOADFLAME_BROKER", "kafka:9093")
    for name, value in values.items():
        monkeypatch.setenv(f"LOADFLAME_KAFKA_{name.upper()}", value.format(folder))
    return read_settings()


SASL = {"security_protocol": "SASL_SSL", "ssl_cafile": "{}/authority.pem", "sasl_username": "alice"}


def test_nothing_set_is_plain(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert security_of(settings_of(monkeypatch, folder)) is PLAINTEXT
    assert PLAINTEXT.client_options() == {"security_protocol": "PLAINTEXT", "ssl_context": None}


@pytest.mark.parametrize(
    ("password", "mechanism"),
    [
        ({"sasl_password": PASSWORD}, "SCRAM-SHA-512"),
        ({"sasl_password_file": "{}/password", "sasl_mechanism": "SCRAM-SHA-256"}, "SCRAM-SHA-256"),
        ({"sasl_password": PASSWORD, "sasl_mechanism": "PLAIN"}, "PLAIN"),
    ],
)
def test_a_user_comes_with_its_password_and_a_context_that_checks_names(
    monkeypatch: pytest.MonkeyPatch, folder: Path, password: dict[str, str], mechanism: str
) -> None:
    security = security_of(settings_of(monkeypatch, folder, **SASL, **password))
    options = security.client_options()
    context = options.pop("ssl_context")
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "alice",
        "sasl_plain_password": PASSWORD,
    }
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert PASSWORD not in f"{security} {security!r}"


@pytest.mark.parametrize(
    "key",
    [
        {"ssl_certfile": "{}/open.crt", "ssl_keyfile": "{}/open.key"},
        {"ssl_certfile": "{}/open.pem"},
        {"ssl_certfile": "{}/locked.crt", "ssl_keyfile": "{}/locked.key", "ssl_password": KEY_PASSWORD},
    ],
)
def test_mutual_tls_takes_a_certificate_and_its_key(
    monkeypatch: pytest.MonkeyPatch, folder: Path, key: dict[str, str]
) -> None:
    settings = settings_of(monkeypatch, folder, security_protocol="SSL", ssl_cafile="{}/authority.pem", **key)
    options = security_of(settings).client_options()
    assert options["security_protocol"] == "SSL"
    assert options["ssl_context"].cert_store_stats()["x509_ca"] == 1


LOCKED = {"security_protocol": "SSL", "ssl_certfile": "{}/locked.crt", "ssl_keyfile": "{}/locked.key"}
WITH_PASSWORD = {"sasl_password": PASSWORD}
WRONG: list[tuple[str, dict[str, str], str]] = [
    (
        "a user without TLS",
        {"sasl_username": "alice"},
        "USERNAME is set, but .* is PLAINTEXT.*set it to SSL or",
    ),
    ("an authority without TLS", {"ssl_cafile": "{}/authority.pem"}, "SSL_CAFILE is set, but .* is PLAINTEXT"),
    (
        "a user beside mutual TLS",
        LOCKED | {"sasl_username": "alice"},
        "USERNAME is set, but .* is SSL.*to SASL_SSL",
    ),
    ("a user without a password", SASL, "needs a user; set LOADFLAME_KAFKA_SASL_USERNAME and .*SASL_PASSWORD_FILE"),
    ("a password without a user", SASL | WITH_PASSWORD | {"sasl_username": ""}, "needs a user"),
    (
        "two passwords",
        SASL | WITH_PASSWORD | {"sasl_password_file": "{}/password"},
        "both .*PASSWORD and .*_FILE are",
    ),
    (
        "a password file that is not there",
        SASL | {"sasl_password_file": "{}/none"},
        "PASSWORD_FILE: .*/none cannot",
    ),
    ("an empty password file", SASL | {"sasl_password_file": "{}/empty"}, "/empty is empty; write the password"),
    ("a password file of bytes", SASL | {"sasl_password_file": "{}/bytes"}, "/bytes is no text in UTF-8"),
    (
        "a CA that is not there",
        SASL | WITH_PASSWORD | {"ssl_cafile": "{}/none"},
        "CAFILE: .*/none cannot be read",
    ),
    ("a CA that is none", SASL | WITH_PASSWORD | {"ssl_cafile": "{}/text"}, "/text holds no certificate in PEM form"),
    (
        "a key that is not there",
        LOCKED | {"ssl_keyfile": "{}/none"},
        "KEYFILE: .*/none cannot be read .No such",
    ),
    ("a key that is a folder", LOCKED | {"ssl_keyfile": "{}"}, "SSL_KEYFILE: .* cannot be read .Is a directory"),
    ("a key that is none", LOCKED | {"ssl_keyfile": "{}/text"}, "hold no certificate and key that can be read"),
    ("a locked key", LOCKED, "locked.key is encrypted; set LOADFLAME_KAFKA_SSL_PASSWORD_FILE"),
    ("a wrong key password", LOCKED | {"ssl_password": "wrong-hunter2"}, "or mend its password in .*SSL_PASSWORD"),
    (
        "a key of another",
        LOCKED | {"ssl_keyfile": "{}/open.key"},
        "key in .*/open.key is not that of .*/locked.crt",
    ),
    ("a key alone", {"security_protocol": "SSL", "ssl_keyfile": "{}/open.key"}, "a key without its certificate"),
]


@pytest.mark.parametrize(("what", "values", "said"), WRONG, ids=[row[0] for row in WRONG])
def test_what_does_not_fit_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, folder: Path, what: str, values: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        security_of(settings_of(monkeypatch, folder, **values))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_embedded_broker_is_not_spoken_to_in_tls(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    settings = settings_of(monkeypatch, folder, **SASL, sasl_password=PASSWORD).model_copy(update={"broker": None})
    with pytest.raises(UserError, match="no broker is named, and the embedded one speaks plain"):
        security_of(settings)
