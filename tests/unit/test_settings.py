"""Settings come from the environment and from flags, once, and say clearly what does not fit."""

from pathlib import Path

import pytest

from loadflame.settings import SettingsError, read_settings
from producers.publisher.spool import SpoolPlace
from sinks.connect import embedded_folder


def test_everything_has_a_default_that_works_on_one_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = read_settings()
    assert settings.broker is None
    assert settings.store_url == f"chdb://{tmp_path}/loadflame/store"
    assert settings.window_us == 1_000_000


@pytest.mark.parametrize("name", ["my#data", "what?", "a%20b", "with space"])
def test_the_store_lies_in_the_data_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    assert embedded_folder(read_settings(data_dir=tmp_path / name).store_url) == tmp_path / name / "store"


def test_messages_wait_in_the_data_folder_unless_told_otherwise(tmp_path: Path) -> None:
    settings = read_settings(data_dir=tmp_path)
    assert settings.spool == SpoolPlace(tmp_path / "spool", 1 << 30)
    elsewhere = read_settings(data_dir=tmp_path, spool_dir=tmp_path / "other", spool_bytes=7)
    assert elsewhere.spool == SpoolPlace(tmp_path / "other", 7)
    assert read_settings(data_dir=tmp_path, spool_bytes=0).spool is None


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOADFLAME_BROKER", "kafka:9092")
    assert read_settings().broker == "kafka:9092"
    assert read_settings(broker="other:9092").broker == "other:9092"


def test_settings_survive_the_way_to_another_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = read_settings(
        broker="h:1",
        data_dir=tmp_path,
        partitions=7,
        window_ms=500,
        allow_hosts=("10.0.0.1", "shop.test"),
        max_tps=2500,
        spool_dir=tmp_path / "spool",
        spool_bytes=1 << 20,
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert read_settings() == settings


SECRETS = {"LOADFLAME_KAFKA_SASL_PASSWORD": "kafka-hunter2", "LOADFLAME_KAFKA_SSL_PASSWORD": "key-hunter2"}


def test_passwords_are_inherited_by_our_processes_not_handed_on_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOADFLAME_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.chdir(tmp_path)
    settings = read_settings(broker="h:1", kafka_sasl_username="alice", kafka_ssl_cafile=Path("ca.pem"))
    handed_on = settings.environment()
    assert not SECRETS.keys() & handed_on.keys()
    assert handed_on["LOADFLAME_KAFKA_SSL_CAFILE"] == f"{tmp_path}/ca.pem"
    assert "hunter2" not in f"{settings!r} {settings} {handed_on} {settings.model_dump_json()}"
    for name, value in handed_on.items():
        monkeypatch.setenv(name, value)
    assert read_settings() == settings


def test_a_store_url_with_a_password_is_no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://writer:hunter2@h:8123/db"
    with pytest.raises(SettingsError, match=r"--store holds a password, .*put the URL into LOADFLAME_STORE") as caught:
        read_settings(store=url)
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("LOADFLAME_STORE", url)
    assert read_settings().store_url == url
    assert "hunter2" not in f"{read_settings()!r} {read_settings()}"
    assert read_settings(store="http://writer@h:8123/db?password_file=/f").store


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("PARTITIONS", "0"),
        ("PARTITIONS", "many"),
        ("WINDOW_MS", "1"),
        ("MAX_TPS", "0"),
        ("MAX_TPS", "fast"),
        ("SPOOL_BYTES", "-1"),
        ("TOPIC_PREFIX", "no spaces"),
    ],
)
def test_a_value_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"LOADFLAME_{name}", value)
    with pytest.raises(SettingsError, match=f"LOADFLAME_{name}"):
        read_settings()
