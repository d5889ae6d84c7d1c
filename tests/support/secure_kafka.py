"""A real Kafka that lets nobody in unasked: SCRAM and PLAIN over TLS on one port, mutual TLS on another."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from loadflame.broker import free_ports
from tests.support.certificates import Authority
from tests.support.kafka_server import KafkaServer

ADMIN, USER, GUEST = "admin", "loadflame", "guest"
"""Who may do everything; who may do what the first gives the right to; and who is let in, and may do nothing. A client
certificate counts by its common name."""


class SecureKafka(KafkaServer):
    """See KafkaServer: `bootstrap` is the SASL_SSL port, `mutual` that of mutual TLS. Its certificate is for 127.0.0.1.

    Rights are by Kafka's own authorizer. PLAIN knows USER only, SCRAM-SHA-256 and SCRAM-SHA-512 all of them.
    """

    def __init__(self, folder: Path, authority: Authority, password: str) -> None:
        super().__init__(folder)
        self._authority = authority
        self._certificate = authority.issue("127.0.0.1", name="broker")
        self._password = password
        (self._mutual_port,) = free_ports(1)

    @property
    def mutual(self) -> str:
        """host:port of mutual TLS."""
        return f"127.0.0.1:{self._mutual_port}"

    def format_options(self) -> Sequence[str]:
        """All users of SCRAM."""
        return [
            option
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for user in (ADMIN, USER, GUEST)
            for option in ("--add-scram", f"{mechanism}=[name={user},password={self._password}]")
        ]

    def further_properties(self) -> Mapping[str, object]:
        """Listeners, keys in PEM form, and who may do what."""
        listeners = f"SASL_SSL://{self.bootstrap},SSL://{self.mutual}"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        return {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{plain} user_{USER}="{self._password}";',
            "listener.name.ssl.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._certificate.both,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self._authority.cafile,
            "ssl.principal.mapping.rules": r"RULE:^.*CN=([^,]+).*$/$1/",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # The controller's own listener is plain, and in this process only.
            "super.users": f"User:{ADMIN};User:broker;User:ANONYMOUS",
        }
