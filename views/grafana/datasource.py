"""The data source through which Grafana reads the store: the reader's account, over HTTP."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from schemas.errors import UserError
from sinks.connect import DATABASE, is_embedded, server_access
from sinks.users import USERS
from views.grafana.choices import DATASOURCE_NAME, DATASOURCE_UID, PLUGIN
from views.grafana.model import Json

_TOO_MIGHTY = {user.name for user in USERS if user.role != "reader"}


class GrafanaError(UserError):
    """Grafana is not there, says no, or is asked for something that it should not have."""


@dataclass(frozen=True, slots=True)
class ClickHouseAccess:
    """How Grafana reaches the store. Certificates and the key are their text (PEM), as Grafana keeps them."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str = DATABASE
    secure: bool = False
    ca_cert: str = ""
    client_cert: str = ""
    client_key: str = field(default="", repr=False)

    @classmethod
    def of_url(cls, url: str, password: str) -> Self:
        """From a store's URL, http(s)://READER@HOST:PORT/DATABASE with `?ca_cert=` and the like (see
        `sinks.connect.open_client`); `password` stands in when it has none. Reads the files that it names.

        Raises GrafanaError, or StoreError when the URL is none of a store.
        """
        if is_embedded(url):
            raise GrafanaError(
                "Grafana cannot read an embedded store; name a ClickHouse server as http://READER@HOST:8123/DATABASE"
            )
        parts, options = server_access(url)
        if not parts.username:
            raise GrafanaError("the store's URL names no user; write http://READER@HOST:8123/DATABASE")
        user = unquote(parts.username)
        if user in _TOO_MIGHTY:
            raise GrafanaError(f"{user} may change the store, and Grafana only reads; name loadflame_reader instead")
        texts = {
            name: Path(options[option]).read_text(encoding="utf-8") if option in options else ""
            for name, option in (
                ("ca_cert", "ca_cert"),
                ("client_cert", "client_cert"),
                ("client_key", "client_cert_key"),
            )
        }
        secure = parts.scheme == "https"
        return cls(
            host=parts.hostname or "",
            port=parts.port or (8443 if secure else 8123),
            user=user,
            password=options["password"] or password,
            database=unquote(parts.path.strip("/")) or DATABASE,
            secure=secure,
            **texts,
        )

    def as_datasource(self) -> Json:
        """As Grafana's data source model; what is secret stands in `secureJsonData` only."""
        secrets = {
            "password": self.password,
            "tlsCACert": self.ca_cert,
            "tlsClientCert": self.client_cert,
            "tlsClientKey": self.client_key,
        }
        return {
            "uid": DATASOURCE_UID,
            "name": DATASOURCE_NAME,
            "type": PLUGIN,
            "access": "proxy",
            "jsonData": {
                "host": self.host,
                "port": self.port,
                "protocol": "http",
                "secure": self.secure,
                "username": self.user,
                "defaultDatabase": self.database,
                "tlsAuthWithCACert": bool(self.ca_cert),
                "tlsAuth": bool(self.client_cert),
            },
            "secureJsonData": {name: value for name, value in secrets.items() if value},
        }
