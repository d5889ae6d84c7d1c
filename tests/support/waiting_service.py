"""A small service of threads, one request in fifty of which waits on a slow downstream: run it as a program.

    python waiting_service.py PORT

Every request takes four milliseconds of CPU, on any machine. The answer says when it was begun and done, in Unix
microseconds by the service's own clock: what a busy machine does to the client is in neither.
"""

import itertools
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_EVERY = 50
SLOW_S, WORK_S = 0.25, 0.004
_numbers = itertools.count(1)


def ask_downstream():
    time.sleep(SLOW_S)


def work():
    until_s = time.thread_time() + WORK_S
    while time.thread_time() < until_s:
        sum(range(500))


def search():
    work()
    if next(_numbers) % SLOW_EVERY == 0:
        ask_downstream()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        began_ns = time.time_ns()
        search()
        body = f"{began_ns // 1000} {time.time_ns() // 1000}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
