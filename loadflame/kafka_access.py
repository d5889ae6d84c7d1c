"""How Kafka lets us in, from the settings: what does not fit together is one sentence, before anything is asked."""

import ssl
from pathlib import Path

from pydantic import SecretStr

from loadflame.settings import Settings, SettingsError
from schemas.kafka_security import PLAINTEXT, KafkaSecurity
from sinks.secrets import read_secret

_SSL = ("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile", "kafka_ssl_password", "kafka_ssl_password_file")
_SASL = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password", "kafka_sasl_password_file")


class _NoPasswordError(Exception):
    """A key turned out to need a password."""


def security_of(settings: Settings) -> KafkaSecurity:
    """What every Kafka client is to be told. Reads the files that the settings name. Raises UserError."""
    protocol = settings.kafka_security_protocol
    if protocol == "PLAINTEXT":
        _refuse(settings, (*_SSL, *_SASL), "PLAINTEXT, so that nothing would be protected", "SSL or SASL_SSL")
        return PLAINTEXT
    if settings.broker is None:
        raise SettingsError(
            f"LOADFLAME_KAFKA_SECURITY_PROTOCOL is {protocol}, but no broker is named, and the embedded one speaks "
            "plain; name yours by LOADFLAME_BROKER, or take the setting away"
        )
    if protocol == "SSL":
        _refuse(settings, _SASL, "SSL, which knows no user", "SASL_SSL")
        return KafkaSecurity("SSL", _context(settings))
    password = _secret(settings, "kafka_sasl_password")
    if not settings.kafka_sasl_username or password is None:
        raise SettingsError(
            "LOADFLAME_KAFKA_SECURITY_PROTOCOL is SASL_SSL, which needs a user; set LOADFLAME_KAFKA_SASL_USERNAME and "
            "LOADFLAME_KAFKA_SASL_PASSWORD_FILE (or LOADFLAME_KAFKA_SASL_PASSWORD)"
        )
    return KafkaSecurity(
        "SASL_SSL",
        _context(settings),
        settings.kafka_sasl_mechanism or PLAINTEXT.sasl_mechanism,
        settings.kafka_sasl_username,
        SecretStr(password),
    )


def _refuse(settings: Settings, names: tuple[str, ...], why: str, instead: str) -> None:
    for name in names:
        if getattr(settings, name) is not None:
            raise SettingsError(
                f"{_variable(name)} is set, but LOADFLAME_KAFKA_SECURITY_PROTOCOL is {why}; set it to {instead}, "
                "or take the other away"
            )


def _context(settings: Settings) -> ssl.SSLContext:
    """Checks certificates and host names, always."""
    cafile = _readable(settings, "kafka_ssl_cafile")
    try:
        context = ssl.create_default_context(cafile=cafile)
    except ssl.SSLError as error:
        raise SettingsError(
            f"{_variable('kafka_ssl_cafile')}: {cafile} holds no certificate in PEM form; name the file of the "
            "authority that signed Kafka's certificate"
        ) from error
    certfile, keyfile = _readable(settings, "kafka_ssl_certfile"), _readable(settings, "kafka_ssl_keyfile")
    password = _secret(settings, "kafka_ssl_password")
    if certfile is not None:
        _add_certificate(context, certfile, keyfile, password)
    elif keyfile is not None or password is not None:
        raise SettingsError("a key without its certificate is of no use; set LOADFLAME_KAFKA_SSL_CERTFILE as well")
    return context


def _add_certificate(context: ssl.SSLContext, certfile: Path, keyfile: Path | None, password: str | None) -> None:
    def say() -> str:
        if password is None:
            raise _NoPasswordError  # OpenSSL would ask at the terminal
        return password

    key = keyfile or certfile
    try:
        context.load_cert_chain(certfile, keyfile, say)
    except _NoPasswordError:
        raise SettingsError(
            f"the key in {key} is encrypted; set LOADFLAME_KAFKA_SSL_PASSWORD_FILE (or LOADFLAME_KAFKA_SSL_PASSWORD)"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SettingsError(
                f"the key in {key} is not that of the certificate in {certfile}; name its own"
            ) from error
        remedy = ", or mend its password in LOADFLAME_KAFKA_SSL_PASSWORD" if password is not None else ""
        raise SettingsError(
            f"{certfile} and {key} hold no certificate and key that can be read; give both in PEM form{remedy}"
        ) from error


def _readable(settings: Settings, name: str) -> Path | None:
    """The file of a setting. Looked at here, because `ssl` does not say which of its files it means."""
    path: Path | None = getattr(settings, name)
    if path is None:
        return None
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise SettingsError(
            f"{_variable(name)}: {path} cannot be read ({error.strerror}); name another file, or mend its rights"
        ) from error


def _secret(settings: Settings, name: str) -> str | None:
    """A password that stands in the environment, or in a file that is named there; None for neither."""
    here: SecretStr | None = getattr(settings, name)
    path: Path | None = getattr(settings, f"{name}_file")
    if path is None:
        return None if here is None else here.get_secret_value()
    if here is not None:
        raise SettingsError(f"both {_variable(name)} and {_variable(name)}_FILE are set; take one of them away")
    return read_secret(path, f"{_variable(name)}_FILE")


def _variable(name: str) -> str:
    return f"LOADFLAME_{name.upper()}"
