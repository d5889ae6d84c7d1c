"""How a Kafka lets a client in: what every client of ours is told beside the address.

A value: whoever makes it (`loadflame.kafka_access`) has read the files and the environment. The names are aiokafka's.
"""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import SecretStr

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_SSL"]
"""SASL without TLS is left out: PLAIN would send the password readable, SCRAM everything else."""
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """`context` holds the trusted authorities and, if there is one, the client's certificate; none for PLAINTEXT.

    Host names are checked as the context says. `sasl_*` count for SASL_SSL only.
    """

    protocol: SecurityProtocol = "PLAINTEXT"
    context: ssl.SSLContext | None = field(default=None, repr=False)
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: SecretStr = field(default_factory=lambda: SecretStr(""))

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of an aiokafka producer, consumer or admin client."""
        options: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.context}
        if self.protocol == "SASL_SSL":
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value(),
            }
        return options

    def __str__(self) -> str:
        """In words, without a secret."""
        if self.protocol == "SASL_SSL":
            return f"SASL_SSL, {self.sasl_mechanism} as {self.sasl_username}"
        return self.protocol


PLAINTEXT = KafkaSecurity()
"""No encryption and no user: the embedded broker, or a Kafka in a network that nobody else is in."""
