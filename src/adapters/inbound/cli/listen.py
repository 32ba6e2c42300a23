"""`pitaya listen`: a merchant's test events, forwarded to a program that no webhook could reach."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from adapters.inbound.cli.merchant_api import MerchantApi
from domain.errors import DatabaseUnavailable

PAUSE = 1.0  # seconds between two questions when there is nothing new
LONGEST_PAUSE = 30.0  # while the API does not answer
DEADLINE = 15.0  # seconds for the program to answer, as for every endpoint


@dataclass
class Listener:
    """Reads /v1/events, so it misses nothing that happens while it runs, however often its connection breaks.

    Each event is posted once, signed by ``secret`` (``whsec_…``) as Standard Webhooks says; what came back is told by
    ``say`` and not tried again. ``types`` are those wanted, none for all.
    """

    api: MerchantApi
    http: httpx.AsyncClient
    forward_to: str
    secret: str
    say: Callable[[str], None]
    types: frozenset[str] = frozenset()
    pause: float = PAUSE
    cursor: str | None = None
    forwarded: int = 0
    _patience: float = field(default=0.0, init=False)

    async def skip_the_past(self) -> int:
        """Go to the end of what has happened; how many events that was. Raises what the API raises."""
        skipped = 0
        while rows := await self._page():
            skipped += len(rows)
        return skipped

    async def run(self, *, count: int | None = None) -> int:
        """Forward what happens from now on, for ever or until so many were forwarded. Raises PitayaError for a refusal
        by the API (a revoked key, say); waits, longer and longer, while it does not answer."""
        while count is None or self.forwarded < count:
            try:
                rows = await self._page()
            except DatabaseUnavailable as away:
                self._patience = min(max(2 * self._patience, self.pause), LONGEST_PAUSE)
                self.say(f"{away}; asking again in {self._patience:g} s")
                await asyncio.sleep(self._patience)
                continue
            self._patience = 0.0
            for row in rows:
                if not self.types or row["type"] in self.types:
                    await self._forward(row)
                    if self.forwarded == count:
                        return self.forwarded
            if not rows:
                await asyncio.sleep(self.pause)
        return self.forwarded

    async def _page(self) -> list[dict[str, Any]]:
        query = {"limit": "100"} | ({"cursor": self.cursor} if self.cursor else {})
        page = await self.api.get("/events", **query)
        self.cursor = page["next_cursor"]
        rows: list[dict[str, Any]] = page["data"]
        return rows

    async def _forward(self, event: dict[str, Any]) -> None:
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Pitaya-listen/1",
            "webhook-id": event["id"],
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(event["id"], now, body),
        }
        began = time.monotonic()
        try:
            answer = await self.http.post(self.forward_to, content=body.encode(), headers=headers, timeout=DEADLINE)
            result = str(answer.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            result = f"no answer ({type(error).__name__})"
        self.forwarded += 1
        about = event["data"].get("id", "")
        self.say(
            f"{now:%H:%M:%S}  {event['type']:28} {about}  {event['id']}  →  {result}"
            f"  ({round((time.monotonic() - began) * 1000)} ms)"
        )
