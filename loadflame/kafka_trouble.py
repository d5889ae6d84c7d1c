"""Why Kafka does not take us: aiokafka says only that it could not bootstrap, so a connection of our own is asked.

A client that speaks plain to a TLS port, or TLS to a plain one, hears nothing at all: it is cut off, or left waiting.
So the time is bounded, and the port itself is asked what it speaks.
"""

import asyncio
import contextlib
import ssl

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from schemas.kafka_security import KafkaSecurity
from schemas.tls import tls_trouble

ASK_S = 3.0
"""For each question: the connection, and what the port speaks."""
_CLOSE_S = 0.5
_PARTING_S = 0.2
"""TLS says goodbye in its own time, and a loop that is closed meanwhile complains of it on standard error."""
_PROTOCOL = "LOADFLAME_KAFKA_SECURITY_PROTOCOL"


async def why_refused(bootstrap: str, security: KafkaSecurity) -> str | None:
    """What is wrong and what to do about it, without a secret; None when it is not about security, as far as is known.

    Asks the first address that answers, and takes at most some seconds.
    """
    for host, port, _ in collect_hosts(bootstrap, randomize=False):
        if not await _listens(host, port):
            continue
        where = f"Kafka at {host}:{port}"
        try:
            await _ask(host, port, security)
        except (KafkaError, OSError, TimeoutError, EOFError, ValueError) as error:
            known = _known(error, where, security) or await _cut_off(host, port, where, security)
            await asyncio.sleep(_PARTING_S)
            return known
        return None
    return None


async def _ask(host: str, port: int, security: KafkaSecurity) -> None:
    """Connect, and ask for something that only who is let in is told."""
    async with asyncio.timeout(ASK_S):
        connection = await create_conn(host, port, request_timeout_ms=int(ASK_S * 1000), **security.client_options())
        try:
            await connection.send(MetadataRequest([]))
        finally:
            await asyncio.wait({connection.close()}, timeout=_CLOSE_S)


def _known(error: BaseException, where: str, security: KafkaSecurity) -> str | None:
    """The sentence of an error that says what it is."""
    if isinstance(error, (SaslAuthenticationFailed, AuthenticationFailedError)):
        return (
            f"{where} refuses the user {security.sasl_username!r} ({security.sasl_mechanism}); check "
            "LOADFLAME_KAFKA_SASL_USERNAME, its password and LOADFLAME_KAFKA_SASL_MECHANISM"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return (
            f"{where} does not take {security.sasl_mechanism}; set LOADFLAME_KAFKA_SASL_MECHANISM to one that it does"
        )
    if isinstance(error, IllegalSaslStateError):
        return f"{where} asks for no user; set {_PROTOCOL} to SSL, or name the port of its SASL_SSL listener"
    trouble = tls_trouble(error)
    if trouble is None or trouble[0] == "cut off":
        return None
    what, words = trouble
    return {
        "not trusted": f"the certificate of {where} is not trusted ({words}); set LOADFLAME_KAFKA_SSL_CAFILE to "
        "that of the authority which signed it",
        "other name": f"the certificate of {where} is for another name ({words}); name the broker by one that is in it",
        "expired": f"the certificate of {where} is not valid now ({words}); renew it, or mend this machine's clock",
        "client certificate": f"{where} does not take our certificate ({words}); set LOADFLAME_KAFKA_SSL_CERTFILE and "
        "LOADFLAME_KAFKA_SSL_KEYFILE to one that it trusts",
        "no TLS": f"{where} does not speak TLS; set {_PROTOCOL} to PLAINTEXT, or name the port of its TLS listener",
    }[what]


async def _cut_off(host: str, port: int, where: str, security: KafkaSecurity) -> str | None:
    """The sentence for a connection that ended, or waited, without a word."""
    speaks_tls = await _speaks_tls(host, port)
    if security.protocol == "PLAINTEXT":
        if speaks_tls:
            return f"{where} speaks TLS, and {_PROTOCOL} is PLAINTEXT; set it to SSL or SASL_SSL"
        return None
    if not speaks_tls:
        return f"{where} does not speak TLS; set {_PROTOCOL} to PLAINTEXT, or name the port of its TLS listener"
    if security.protocol == "SSL":
        return (
            f"{where} ends the connection once TLS is up; if it asks for a user, set {_PROTOCOL} to SASL_SSL, if for a "
            "certificate, set LOADFLAME_KAFKA_SSL_CERTFILE and LOADFLAME_KAFKA_SSL_KEYFILE to one that it trusts"
        )
    return f"{where} ends the connection once TLS is up; see that the port is that of its SASL_SSL listener"


async def _listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(ASK_S):
            _, writer = await asyncio.open_connection(host, port)
            await _abort(writer)
            return True
    return False


async def _speaks_tls(host: str, port: int) -> bool:
    """Whether a TLS handshake gets an answer. Nothing is sent in it, so who is there need not be checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(ASK_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # an alert is TLS as well
    except (OSError, TimeoutError):
        return False
    await _abort(writer)
    return True


async def _abort(writer: asyncio.StreamWriter) -> None:
    """Nothing was said, so nothing need be said in parting."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
