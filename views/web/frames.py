"""What a frame's label tells of the code: its package, and whether it is the service's own, a library's or waiting.

A label has the last two parts of a path (`asyncio/base_events.py`), so this is told by names: packages of the standard
library as this Python lists them, and well-known ones of servers and clients. What nobody knows is the service's own.
"""

import sys
from functools import lru_cache

from schemas.stacks import split_frame
from views.web.answers import Kind

UNATTRIBUTED = "(unattributed)"
OWN = "(service)"
_KNOWN_TEXT = """
PIL aiobotocore aiofiles aiohttp aiokafka aiosignal aiosqlite alembic anyio asgiref asyncpg attr attrs
blinker boto3 botocore cachetools celery certifi charset_normalizer click confluent_kafka cryptography
cython dateutil django dns falcon fastapi flask frozenlist gevent google greenlet grpc gunicorn h11 h2 hpack
httpcore httptools httpx hypercorn idna itsdangerous jinja2 jsonschema jwt kafka kombu lxml markupsafe
marshmallow msgpack multidict mysql numpy opentelemetry orjson pandas pika prometheus_client propcache
psycopg psycopg2 pyarrow pydantic pydantic_core pydantic_settings pymongo pymysql pyramid quart redis
requests rest_framework sanic scipy sentry_sdk simplejson sniffio sqlalchemy starlette structlog tornado
twisted typing_extensions ujson urllib3 uvicorn uvloop waitress watchfiles webob websockets werkzeug wrapt
yaml yarl zmq zope
"""
_KNOWN = frozenset(_KNOWN_TEXT.split())
_WAITS = frozenset({"select", "poll", "_worker", "wait", "acquire", "accept", "epoll_wait", "sleep"})
_WAIT_FILES = ("selectors.py", "threading.py", "queue.py", "thread.py", "socket.py", "connection.py")


@lru_cache(maxsize=1 << 14)
def package_of(label: str) -> str:
    """The package of a frame; `(service)` for the service's own code, which may lie in any folder."""
    if label == UNATTRIBUTED:
        return UNATTRIBUTED
    _, file = split_frame(label)
    folder, _, name = file.rpartition("/")
    stem = name.removesuffix(".py")
    if folder.startswith("python3") or file.startswith("<frozen"):
        return "python" if stem not in sys.stdlib_module_names else stem
    if folder in sys.stdlib_module_names or folder in _KNOWN:
        return folder
    if not folder and (stem in sys.stdlib_module_names or stem in _KNOWN):
        return stem
    return "python" if file == "<string>" else OWN


@lru_cache(maxsize=1 << 14)
def kind_of(label: str) -> Kind:
    """Own code, a library's, a place where a thread waits, or CPU that no sample could place."""
    if label == UNATTRIBUTED:
        return "unattributed"
    function, file = split_frame(label)
    if function.rpartition(".")[2] in _WAITS and file.endswith(_WAIT_FILES):
        return "idle"
    return "own" if package_of(label) == OWN else "library"
