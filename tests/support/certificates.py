"""Certificates of a test's own, in files as servers and clients want them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key (PKCS #8, PEM); `both` holds the two."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates; `cafile` is its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._ca = trustme.CA(organization_name=name)
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.cafile = folder / f"{name}.pem"
        self.cafile.write_bytes(self._ca.cert_pem.bytes())

    def issue(
        self, *identities: str, name: str, password: str | None = None, not_after: datetime | None = None
    ) -> Pair:
        """A certificate for host names and addresses, or for `name`, which is its common name in any case.

        The key is encrypted if there is a password.
        """
        issued = self._ca.issue_cert(*(identities or (name,)), common_name=name, not_after=not_after)
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        pair = Pair(*(self._folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")))
        pair.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        pair.both.write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())
        return pair
