"""nginx on a core of its own, as the target of the generators' benchmark: two bytes over HTTP, JSON over TLS."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import trustme

from benchmarks.serving import free_port, serving

ANSWER = '{"item": 7, "total": 42, "state": "found"}'
_CONFIG = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; default_type text/plain;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "ok"; }} }}
  server {{
    listen 127.0.0.1:{tls_port} ssl backlog=4096;
    ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
    default_type application/json; location / {{ return 200 '{answer}'; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx; any path of `url` answers two bytes, of `tls_url` a little JSON. `authority` is whom to trust.

    The authority is a file of certificates, as `SSL_CERT_FILE` names one to OpenSSL and to Go.
    """

    url: str
    tls_url: str
    authority: Path
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds of master and worker so far."""
        master = psutil.Process(self.pid)
        times = [one.cpu_times() for one in (master, *master.children())]
        return sum(one.user + one.system for one in times)


@contextlib.contextmanager
def nginx(core: int) -> Iterator[Nginx]:
    """Start nginx on one core and two free loopback ports."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port, tls_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(folder / "authority.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(folder / "chain.pem", append=True)
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, port=port, tls_port=tls_port, answer=ANSWER))
        command = ["taskset", "-c", str(core), program, "-p", name, "-c", str(config)]
        with serving(command, port) as process:
            urls = f"http://127.0.0.1:{port}/", f"https://localhost:{tls_port}/"
            yield Nginx(*urls, folder / "authority.pem", process.pid)
