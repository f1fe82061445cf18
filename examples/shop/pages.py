"""What the shop answers: its pages, and the faults of its version."""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass

from examples.shop.versions import Behaviour

_LEAK_BYTES = 1024 * 1024
_MOST_LEAKS = 256

_PRODUCTS = (
    {"name": "anchor", "price": "49.00"},
    {"name": "rope, 20 m", "price": "18.50"},
    {"name": "lantern", "price": "23.90"},
)


@dataclass(frozen=True)
class Page:
    status: int
    body: bytes


class Shop:
    """One instance of one version. Which customers meet an error is random, but the same in every run."""

    def __init__(self, version: str, behaviour: Behaviour) -> None:
        self._version = version
        self._behaviour = behaviour
        self._chance = random.Random(version)
        self._began = time.monotonic()
        self._orders = 0
        self._leaked: list[bytes] = []

    async def answer(self, path: str) -> Page:
        """The page at a path, when a customer has it: slow versions take their time."""
        match path.partition("?")[0]:
            case "/healthz":
                return self._page(200, {"status": "alive"})
            case "/readyz" if self._behaviour.becomes_ready:
                return self._page(200, {"status": "ready"})
            case "/readyz":
                return self._page(503, {"status": "still warming up"})
            case "/" | "/checkout" as customer_page:
                return await self._serve_customer(customer_page)
            case unknown:
                return self._page(404, {"error": f"there is no page {unknown}; try / or /checkout"})

    async def _serve_customer(self, path: str) -> Page:
        if self._behaviour.leaks_memory and len(self._leaked) < _MOST_LEAKS:
            self._leaked.append(b"x" * _LEAK_BYTES)
        if self._behaviour.latency:
            await asyncio.sleep(self._behaviour.latency.total_seconds())
        if self._chance.random() < self._behaviour.error_share and not self._warm():
            print(
                f"shop {self._version}: {path} failed: the payment service's answer could not be read", file=sys.stderr
            )
            return self._page(500, {"error": "something went wrong on our side"})
        if path == "/checkout":
            self._orders += 1
            return self._page(200, {"order": self._orders, "status": "confirmed"})
        return self._page(200, self._front_page())

    def _warm(self) -> bool:
        cold = self._behaviour.cold
        return cold is not None and time.monotonic() - self._began > cold.total_seconds()

    def _front_page(self) -> dict[str, object]:
        page: dict[str, object] = {"products": _PRODUCTS}
        if "recommendations" in self._behaviour.features:
            page["recommended"] = "lantern"
        return page

    def _page(self, status: int, content: dict[str, object]) -> Page:
        return Page(status, json.dumps({"version": self._version, **content}).encode() + b"\n")
