"""Pitaya's merchant API as the commands for merchants' developers call it: over HTTP, in test mode, like anybody."""

from collections.abc import Mapping
from typing import Any

import httpx

from domain.errors import DatabaseUnavailable, InvalidRequest, PitayaError

TEST_KEY = "pty_sk_test_"


def check_test_key(key: str) -> None:
    """Raises InvalidRequest for anything but a test key: these commands never touch live money."""
    if not key.startswith(TEST_KEY):
        raise InvalidRequest(f"give a test key ({TEST_KEY}…), with --api-key or in PITAYA_API_KEY", code="mode_invalid")


class MerchantApi:
    """Raises PitayaError with what the API said, DatabaseUnavailable when it cannot be reached at this moment."""

    def __init__(self, http: httpx.AsyncClient, url: str, key: str) -> None:
        self._http, self._url = http, url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        return await self._call("GET", path, params=query)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self._call("POST", path, json=dict(body) if body is not None else None)

    async def _call(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, f"{self._url}/v1{path}", headers=self._headers, **rest)
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(f"{self._url} does not answer: {type(error).__name__}") from None
        if answer.status_code >= 500:
            raise DatabaseUnavailable(f"{self._url} answered {answer.status_code}")
        try:
            said = answer.json()
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise PitayaError(f"{self._url} is no Pitaya: it answered {answer.status_code} and no JSON object")
        if answer.status_code >= 400:
            raise PitayaError(str(said.get("detail", answer.status_code)), code=str(said.get("code", "error")))
        return said
