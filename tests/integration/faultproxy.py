"""A TCP proxy that does to a wire what networks do: swallow, drip, refuse, reset, and lose exactly one answer.

    async with FaultProxy(("127.0.0.1", 8010)) as wire:   # or the path of a Unix socket
        wire.rules = Rules(black=True)                    # nothing passes and nobody is told
        wire.rules = Rules(match=b"COMMIT", then=Then.CUT_REPLY, times=1)

Rules hold from the moment they are set, for connections that are open too. What a black or slow wire holds back is
delivered late once the rules allow it, as TCP would: bytes of a connection that lives are never lost.
"""

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Self

CHUNK = 65_536


class Then(Enum):
    """What befalls the connection over which the matching bytes went towards the server."""

    CUT_BEFORE = auto()  # the server never sees them; both ends are reset
    CUT_REPLY = auto()  # the server sees them; its next word resets both ends instead of arriving
    HANG_REPLY = auto()  # the server sees them; nothing that it says ever arrives


@dataclass(frozen=True, slots=True)
class Rules:
    """What happens to what passes. ``rate`` is bytes a second of answers, 0 for unlimited; ``times`` -1 for always, and
    not for the first ``after`` that match."""

    black: bool = False
    rate: float = 0
    refuse: bool = False
    match: bytes | None = None
    then: Then = Then.CUT_REPLY
    times: int = -1
    after: int = 0


@dataclass(slots=True, eq=False)
class _Wire:
    """One connection with both of its ends."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    struck: Then | None = None

    def reset(self) -> None:
        for end in (self.client, self.server):
            _reset(end)


class FaultProxy:
    """Listens on a port of 127.0.0.1. ``faults`` counts connections refused and matches struck."""

    def __init__(self, upstream: tuple[str, int] | Path | None = None) -> None:
        self.upstream = upstream  # may be said later than our port is known
        self.faults = 0
        self.port = 0
        self._rules = Rules()
        self._left, self._before = -1, 0
        self._changed = asyncio.Event()
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes aborted sockets in its next turn

    @property
    def rules(self) -> Rules:
        return self._rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        self._rules, self._left, self._before = rules, rules.times, rules.after
        self._changed.set()
        self._changed = asyncio.Event()

    def reset_all(self) -> None:
        """Every connection that is open now is reset, both ends of it."""
        for wire in list(self._wires):
            wire.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        except OSError:
            _reset(writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._rules.refuse:
            self.faults += 1
            _reset(client)
            return
        assert self.upstream is not None, "nobody has said where this wire leads"
        if isinstance(self.upstream, Path):
            answers, server = await asyncio.open_unix_connection(self.upstream)
        else:
            answers, server = await asyncio.open_connection(*self.upstream)
        wire = _Wire(client, server)
        self._wires.add(wire)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(wire, reader, server, up=True))
                ways.create_task(self._carry(wire, answers, client, up=False))
        except* OSError:
            wire.reset()
        finally:
            self._wires.discard(wire)
            for end in (client, server):
                end.transport.abort() if end.is_closing() else end.close()

    async def _carry(
        self, wire: _Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        while data := await reader.read(CHUNK):
            if up and self._strikes(data):
                wire.struck = self._rules.then
            if wire.struck is Then.CUT_BEFORE or (wire.struck is Then.CUT_REPLY and not up):
                wire.reset()
                return
            if wire.struck is not Then.HANG_REPLY or up:
                await self._pass_on(writer, data, slowly=not up)
        await self._while_black()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()

    def _strikes(self, data: bytes) -> bool:
        rules = self._rules
        if rules.match is None or self._left == 0 or rules.match not in data:
            return False
        if self._before:
            self._before -= 1
            return False
        self._left -= self._left > 0
        self.faults += 1
        return True

    async def _pass_on(self, writer: asyncio.StreamWriter, data: bytes, *, slowly: bool) -> None:
        for position in range(len(data)):
            await self._while_black()
            rate = self._rules.rate
            if not (slowly and rate):
                writer.write(data[position:])
                break
            writer.write(data[position : position + 1])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 1 / rate)
        await writer.drain()

    async def _while_black(self) -> None:
        while self._rules.black:
            await self._changed.wait()


def _reset(end: asyncio.StreamWriter) -> None:
    """An RST instead of a FIN, where the socket knows such a thing."""
    connection = end.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()
