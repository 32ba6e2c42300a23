"""Between a client and the server: counts what is asked, and cuts the line at a chosen moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from sqlalchemy import URL, make_url

SOCKET = ".s.PGSQL.5432"


class Wire:
    """A Unix socket that forwards to the server. ``asked`` is what clients had executed: queries by text, the
    prepared ones as "execute"; ``cut_before`` and ``cut_after`` end the connection before the server hears a matching
    question, or after it has answered it and before the client learns; what is ``swallowed`` nobody ever answers. While
    it ``lingers``, the client does not learn that the server has closed; ``ended`` is set when it has."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cut_before: Callable[[str], bool] = lambda _: False
        self.cut_after: Callable[[str], bool] = lambda _: False
        self.swallowed: Callable[[str], bool] = lambda _: False
        self.lingers = False
        self.ended = asyncio.Event()
        self.url = make_url("postgresql://")

    async def serve(self, target: URL, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = target.host or str(target.query["host"])
        if host.startswith("/"):
            server, to_server = await asyncio.open_unix_connection(f"{host}/{SOCKET}")
        else:
            server, to_server = await asyncio.open_connection(host, target.port or 5432)
        mute = asyncio.Event()
        answers = asyncio.create_task(self._answers(server, writer, mute))
        try:
            await self._questions(reader, to_server, mute)
            if mute.is_set():
                # Let the server finish what it has heard: it closes when it reads our goodbye.
                to_server.write(b"X\x00\x00\x00\x04")
                await answers
        finally:
            answers.cancel()
            for each in (writer, to_server):
                each.transport.abort()
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mute: asyncio.Event) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if not mute.is_set():
                    writer.write(data)
        self.ended.set()
        if not self.lingers:
            writer.close()

    async def _questions(
        self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, mute: asyncio.Event
    ) -> None:
        # The start-up message has no type byte (PostgreSQL manual, 53.7 Message Formats).
        start = await reader.readexactly(4)
        to_server.write(start + await reader.readexactly(int.from_bytes(start, "big") - 4))
        while True:
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
            question = {b"Q": body[:-1].decode(errors="replace"), b"E": "execute"}.get(head[:1])
            if question is not None:
                self.asked.append(question)
                if self.swallowed(question):
                    await asyncio.Event().wait()
                if self.cut_before(question):
                    return
                if self.cut_after(question):
                    mute.set()
                    to_server.write(head + body + (b"" if head[:1] == b"Q" else b"S\x00\x00\x00\x04"))
                    return
            to_server.write(head + body)


@contextlib.asynccontextmanager
async def wired(url: str, directory: Path) -> AsyncIterator[Wire]:
    """A wire to the server of ``url``; its own URL is for the same database."""
    wire, target = Wire(), make_url(url)
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(wire.serve(target, reader, writer)))

    server = await asyncio.start_unix_server(accept, directory / SOCKET)
    wire.url = target.set(host=None, port=None, query={"host": str(directory)})
    yield wire
    server.close()
    for connection in connections:
        connection.cancel()
    ends = await asyncio.gather(*connections, return_exceptions=True)
    for end in ends:
        if not isinstance(end, (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError, type(None))):
            raise end
