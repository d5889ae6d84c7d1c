"""What went wrong with TLS, told from the errors that client libraries raise around it.

The remedy is the caller's: it knows the names of its settings.
"""

import ssl
from collections.abc import Iterator
from typing import Literal

TlsTrouble = Literal["other name", "expired", "not trusted", "client certificate", "no TLS", "cut off"]

# X509_V_ERR_* of OpenSSL, as `ssl.SSLCertVerificationError.verify_code` gives them: x509_vfy.h.
_EXPIRED = {9, 10}  # not yet valid, has expired
_OTHER_NAME = {62, 64}  # host name, address
# Alerts by which a server says that it does not like the client's certificate, or misses it: RFC 8446, section 6.2.
_ABOUT_OUR_CERTIFICATE = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
)
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")


def tls_trouble(error: BaseException) -> tuple[TlsTrouble, str] | None:
    """What the error, or one behind it, says of TLS, and the library's own words; None when it says nothing of it.

    A server that misses a client's certificate may cut the connection off before it is heard to say so.
    """
    for one in _and_behind(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            if one.verify_code in _OTHER_NAME:
                return "other name", one.verify_message
            return ("expired" if one.verify_code in _EXPIRED else "not trusted"), one.verify_message
        if isinstance(one, ssl.SSLEOFError):
            return "cut off", "the connection ended in mid-handshake"
        if isinstance(one, ssl.SSLError) and one.reason:
            words = one.reason.replace("_", " ").lower()
            if "ALERT" in one.reason and one.reason.endswith(_ABOUT_OUR_CERTIFICATE):
                return "client certificate", words
            if one.reason in _NOT_TLS:
                return "no TLS", words
    return None


def _and_behind(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that it was raised because of; urllib3 keeps one in `reason` besides."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        behind = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [other for other in behind if isinstance(other, BaseException)]
