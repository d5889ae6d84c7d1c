"""nginx on a core of its own, as the target of the generators' benchmark."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.serving import free_port, serving

_CONFIG = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; default_type text/plain;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "ok"; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx; `url` answers any path with two bytes."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds of master and worker so far."""
        master = psutil.Process(self.pid)
        times = [one.cpu_times() for one in (master, *master.children())]
        return sum(one.user + one.system for one in times)


@contextlib.contextmanager
def nginx(core: int) -> Iterator[Nginx]:
    """Start nginx on one core and a free loopback port."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, port=port))
        command = ["taskset", "-c", str(core), program, "-p", folder, "-c", str(config)]
        with serving(command, port) as process:
            yield Nginx(f"http://127.0.0.1:{port}/", process.pid)
