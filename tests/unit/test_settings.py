"""Settings come from the environment and from flags, once, and say clearly what does not fit."""

from pathlib import Path

import pytest

from loadflame.settings import SettingsError, read_settings
from producers.publisher.spool import SpoolPlace


def test_everything_has_a_default_that_works_on_one_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = read_settings()
    assert settings.broker is None
    assert settings.store_url == f"chdb://{tmp_path}/loadflame/store"
    assert settings.window_us == 1_000_000


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
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
