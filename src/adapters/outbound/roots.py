"""Exported audit roots: one line a root in a file outside the database, each signed over the line before."""

import asyncio
import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from domain.audit_chain import Root

FILE, LEDGER_FILE = "audit-roots.jsonl", "ledger-roots.jsonl"


class FileAuditRoots:
    """Lines of JSON: ``at``, ``position``, ``digest`` (hex) and ``mac``, which is HMAC-SHA256 over the line before's
    mac and these three, joined by ``|`` (docs/operators.md). Without a directory nothing is exported or read.

    Copy the file to where nobody who works on the database can write, a write-once bucket say: the key of the mac is
    the application's.
    """

    def __init__(
        self, directory: Path | None, key: bytes, *, file: str = FILE, purpose: bytes = b"audit roots"
    ) -> None:
        self._path = directory / file if directory else None
        self._key = hmac.digest(key, purpose, "sha256")

    @classmethod
    def of_ledger(cls, directory: Path | None, key: bytes) -> Self:
        """The roots of closed ledger days, in a file of their own; ``position`` is the day as 20261101."""
        return cls(directory, key, file=LEDGER_FILE, purpose=b"ledger roots")

    @property
    def configured(self) -> bool:
        return self._path is not None

    async def read(self) -> Sequence[Root]:
        return await asyncio.to_thread(self._read) if self._path else ()

    async def append(self, root: Root) -> None:
        if self._path is not None:
            await asyncio.to_thread(self._append, self._path, root)

    def _read(self) -> list[Root]:
        return [root for root, _ in self._lines()]

    def _lines(self) -> list[tuple[Root, str]]:
        assert self._path is not None
        found: list[tuple[Root, str]] = []
        mac, position = "", 0
        text = self._path.read_text() if self._path.exists() else ""
        for number, line in enumerate(text.splitlines(), start=1):
            root, said = _parsed(line, f"{self._path.name}:{number}")
            mac = self._mac(mac, root)
            if not hmac.compare_digest(mac, said) or root.position <= position:
                raise ValueError(f"{self._path.name}:{number}: this line was edited, removed or inserted")
            position = root.position
            found.append((root, mac))
        return found

    def _append(self, path: Path, root: Root) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # several processes may share the directory
            lines = self._lines()
            if lines and lines[-1][0].position >= root.position:
                return
            mac = self._mac(lines[-1][1] if lines else "", root)
            file.write(json.dumps(_fields(root) | {"mac": mac}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _mac(self, before: str, root: Root) -> str:
        fields = _fields(root)
        text = "|".join((before, fields["at"], str(fields["position"]), fields["digest"]))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _fields(root: Root) -> dict[str, Any]:
    return {"at": root.at.isoformat(), "position": root.position, "digest": root.digest.hex()}


def _parsed(line: str, where: str) -> tuple[Root, str]:
    try:
        read = json.loads(line)
        root = Root(
            at=datetime.fromisoformat(read["at"]), position=int(read["position"]), digest=bytes.fromhex(read["digest"])
        )
        return root, str(read["mac"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{where}: this is not a line of ours") from None
