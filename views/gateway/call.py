"""What a request of ClickHouse's HTTP interface asks for. Source: the chapter "HTTP interface" of its documentation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from views.gateway.refusals import refusal

_NOTHING: Mapping[str, str] = MappingProxyType({})
_OURS = frozenset(
    ("query", "database", "default_format", "query_id", "user", "password", "compress", "client_protocol_version")
)
PARAMETER = "param_"


@dataclass(frozen=True, slots=True)
class Call:
    """One question. `format` holds when the statement names none; `protocol` is the client's revision of Native, or 0.

    `parameters` are values of `{name:Type}`, `settings` whatever else the request said.
    """

    sql: str
    database: str | None = None
    format: str = "TabSeparated"
    query_id: str = ""
    protocol: int = 0
    parameters: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    settings: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


def call_of(fields: Mapping[str, str], headers: Mapping[str, str], body: str) -> Call:
    """The question of a request: its fields (of the address, or of a form), its headers and its body.

    As in ClickHouse the body goes on where the field `query` ends. Raises Refusal.
    """
    if fields.get("compress", "0") not in ("0", ""):
        raise refusal(48, "compress=1 is not served; ask for gzip, lz4 or zstd by the header Accept-Encoding")
    query = fields.get("query", "")
    sql = f"{query}\n{body}" if query and body else query or body
    if not sql.strip():
        raise refusal(62, "Empty query")
    protocol = fields.get("client_protocol_version", "0")
    return Call(
        sql=sql,
        database=fields.get("database") or headers.get("X-ClickHouse-Database") or None,
        format=fields.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        query_id=fields.get("query_id", ""),
        protocol=int(protocol) if protocol.isascii() and protocol.isdigit() else 0,
        parameters={
            name.removeprefix(PARAMETER): value for name, value in fields.items() if name.startswith(PARAMETER)
        },
        settings={
            name: value for name, value in fields.items() if name not in _OURS and not name.startswith(PARAMETER)
        },
    )


def fields_of(call: Call) -> dict[str, str]:
    """The fields of a form that asks the same of another gateway."""
    fields = {f"{PARAMETER}{name}": value for name, value in call.parameters.items()} | dict(call.settings)
    fields |= {"query": call.sql, "default_format": call.format}
    if call.protocol:
        fields["client_protocol_version"] = str(call.protocol)
    return fields | {name: value for name, value in (("database", call.database), ("query_id", call.query_id)) if value}
