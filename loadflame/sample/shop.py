"""A small shop to be load tested: a plain aiohttp application that knows nothing of loadflame.

    python shop.py --port 8080

    GET  /search?q=tea      ranks the catalogue for a query
    GET  /products/17       one product
    POST /checkout          {"item": 7, "quantity": 2} -> a signed receipt
    GET  /counts            {"requests": n}: how many of the three it has answered
    GET  /health

Like real services it has a little of everything: work that every search pays (`rank_products`), work that only the
checkout pays (`sign_receipt`), and a helper that looks harmless in a code review and at ten requests a second.
"""

import argparse
import hashlib
import random
import socket
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass

from aiohttp import web

WORDS = [
    "green",
    "black",
    "white",
    "oolong",
    "mint",
    "rose",
    "ginger",
    "lemon",
    "honey",
    "smoke",
    "spring",
    "winter",
    "leaf",
    "bud",
    "tin",
    "pot",
    "cup",
]
RECENT_S = 1.0
SHOWN = 40  # products that a page shows, recommendations included


@dataclass(frozen=True, slots=True)
class Product:
    """One line of the catalogue; prices are in cents."""

    number: int
    name: str
    words: tuple[str, ...]
    price_cents: int


@dataclass(frozen=True, slots=True)
class Session:
    """A visitor's latest step and the products shown to them."""

    seen_at: float
    shown: tuple[int, ...]


class Shop:
    """The catalogue, and who was here lately."""

    def __init__(self, products: int = 120) -> None:
        rng = random.Random(4)  # noqa: S311  the same catalogue every time, no secret
        self.catalogue = [_product(number, rng) for number in range(products)]
        self.sessions: deque[Session] = deque()
        self.requests = 0

    def sweep_sessions(self) -> int:
        """Forget old sessions and count what the others look at: called once a request, as long as they are many."""
        oldest = time.monotonic() - RECENT_S
        while self.sessions and self.sessions[0].seen_at < oldest:
            self.sessions.popleft()
        trending: dict[int, int] = {}
        for session in self.sessions:
            for number in session.shown:
                trending[number] = trending.get(number, 0) + 1
        return max(trending, key=trending.__getitem__) if trending else 0

    def rank_products(self, query: str) -> list[Product]:
        """Score every product: the same work for every search."""
        wanted = Counter(query.split())
        scored = []
        for product in self.catalogue:
            score = 0.0
            for place, word in enumerate(product.words):
                if word in wanted:
                    score += 2.0 / (1 + place)
                elif any(word[0] == other[0] for other in wanted):
                    score += 0.1
            scored.append((score, -product.price_cents, product.number))
        scored.sort(reverse=True)
        return [self.catalogue[number] for _, _, number in scored[:10]]

    def sign_receipt(self, item: int, quantity: int) -> str:
        """A receipt's signature, stretched so that it is dear to forge: only the checkout pays for it."""
        receipt = f"{item}x{quantity}".encode()
        for round_ in range(700):
            receipt = hashlib.sha256(receipt + b"%d" % round_).digest()
        return receipt.hex()

    def remember(self, shown: tuple[int, ...]) -> None:
        """Note a visitor's step."""
        self.requests += 1
        self.sessions.append(Session(time.monotonic(), shown))


def _product(number: int, rng: random.Random) -> Product:
    words = tuple(rng.sample(WORDS, 5))
    return Product(number, " ".join(words), words, rng.randrange(300, 9900))


async def search(request: web.Request) -> web.Response:
    shop = request.app[SHOP]
    trending = shop.sweep_sessions()
    found = shop.rank_products(request.query.get("q", "tea"))
    shop.remember(tuple(product.number for product in found) * (SHOWN // 10))
    names = [{"number": product.number, "name": product.name} for product in found]
    return web.json_response({"found": names, "trending": trending})


async def product_page(request: web.Request) -> web.Response:
    shop = request.app[SHOP]
    trending = shop.sweep_sessions()
    number = int(request.match_info["number"]) % len(shop.catalogue)
    near = tuple((number + step) % len(shop.catalogue) for step in range(SHOWN))
    shop.remember(near)
    product = shop.catalogue[number]
    return web.json_response({"name": product.name, "price_cents": product.price_cents, "trending": trending})


async def checkout(request: web.Request) -> web.Response:
    shop = request.app[SHOP]
    order = await request.json()
    shop.sweep_sessions()
    item, quantity = int(order["item"]), int(order.get("quantity", 1))
    receipt = shop.sign_receipt(item, quantity)
    shop.remember(tuple((item + step) % len(shop.catalogue) for step in range(SHOWN)))
    return web.json_response({"item": item, "quantity": quantity, "receipt": receipt}, status=201)


async def counts(request: web.Request) -> web.Response:
    return web.json_response({"requests": request.app[SHOP].requests})


async def health(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


SHOP = web.AppKey("shop", Shop)


def application() -> web.Application:
    app = web.Application()
    app[SHOP] = Shop()
    app.router.add_get("/search", search)
    app.router.add_get("/products/{number:\\d+}", product_page)
    app.router.add_post("/checkout", checkout)
    app.router.add_get("/counts", counts)
    app.router.add_get("/health", health)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="A small shop to be load tested.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one; the address is printed")
    options = parser.parse_args()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        print(
            f"shop: cannot listen on {options.host}:{options.port}: {error.strerror}; choose another --port",
            file=sys.stderr,
        )
        sys.exit(2)
    listener.listen(256)
    print("http://{}:{}".format(*listener.getsockname()), flush=True)
    web.run_app(application(), sock=listener, access_log=None, print=None)


if __name__ == "__main__":
    main()
