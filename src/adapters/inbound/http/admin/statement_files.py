"""/admin/v1/statement-days/…: one day with the files it goes by, and a bill handed in as a file."""

import dataclasses
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Annotated

import msgspec
from litestar import Response, get, post
from litestar.openapi.spec import Example, OpenAPIFormat, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, QueryParameter
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.admin.statements import TAGS, Count, DayView, day_of, day_view
from adapters.inbound.http.kit import Req
from adapters.inbound.http.problems import BadRequest
from adapters.inbound.http.views import Time
from domain.statements import StatementFile, StatementKind
from domain.times import rfc3339

MOST_FILE = 64 << 20  # bytes: some 160,000 lines of WeChat Pay's trade bill; larger ones go by `pitaya reconcile`
IN_MEMORY = 1 << 20  # beyond it, a file waits on disk
OCTETS = "application/octet-stream"


class BillView(msgspec.Struct, kw_only=True):
    """A bill in force: the file as it came is kept."""

    id: Annotated[str, Meta(description="Our id.", examples=["stf_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    kind: Annotated[StatementKind, Meta(description="Which bill.", examples=["fund"])]
    fund: Annotated[str, Meta(description="Whose fund bill; empty for a trade bill.", examples=["BASIC"])]
    sha256: Annotated[str, Meta(description="Of the file as it came.", examples=["9f86d081884c7d65"])]
    size: Annotated[int, Meta(ge=0, description="Bytes.", examples=[41_213])]
    lines: Annotated[Count, Meta(description="Lines that were read from it.")]
    provenance: Annotated[str, Meta(description="`channel`, or `upload:` and who handed it in.", examples=["channel"])]
    received_at: Time


class ProgressView(msgspec.Struct, kw_only=True):
    """What a run is doing at this moment, twice a second."""

    bill: Annotated[str, Meta(description="Which is being read; empty while the day is matched.", examples=["trade"])]
    lines: Annotated[int, Meta(ge=0, description="Lines read of it so far.", examples=[135_000])]
    taken: Annotated[int, Meta(ge=0, description="Bytes read of it so far.", examples=[37_190_000])]
    size: Annotated[int, Meta(ge=0, description="Bytes that it has.", examples=[275_400_000])]
    matched: Annotated[int, Meta(ge=0, description="Lines that agree, once they are compared.", examples=[0])]


class DayWithBills(DayView, kw_only=True):
    """One day of one channel account, what it goes by, and what is being done to it."""

    bills: Annotated[list[BillView], Meta(description="Its bills in force.")]
    progress: Annotated[
        ProgressView | None, Meta(description="Nothing when no run is under way, or none is known of.", examples=[None])
    ]


class Handed(msgspec.Struct, kw_only=True):
    """What a repetition of the call is compared by, in place of the file itself."""

    kind: StatementKind
    fund: str
    sha256: str


@dataclass
class FileOperation(Operation):
    """Its body is a file, which Litestar cannot see: the handler reads it piece by piece."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        self.request_body = RequestBody(content={OCTETS: OpenAPIMediaType(schema=schema)}, required=True)


@get(
    "/statement-days/{account_id:str}/{day:str}",
    summary="Look at a day and its bills",
    operation_id="getStatementDay",
    tags=TAGS,
    opt=needs("reconciliation.read"),
)
async def get_day(account_id: FromPath[str], day: FromPath[str], admin: Admin) -> DayWithBills:
    """How far it has come: the lines that were read of each bill, and how many of them agree with our records. While
    a file is read or the day is matched, `progress` says how far that is."""
    standing, files, step = await admin.view_day(account_id, day_of(day))
    return DayWithBills(
        **msgspec.structs.asdict(day_view(standing)),
        bills=[_bill_view(file) for file in files],
        progress=ProgressView(**dataclasses.asdict(step)) if step else None,
    )


@post(
    "/statement-days/{account_id:str}/{day:str}/files",
    status_code=200,
    summary="Hand in a bill",
    operation_id="uploadStatement",
    operation_class=FileOperation,
    tags=TAGS,
    opt=needs("reconciliation.run"),
    request_max_body_size=MOST_FILE,
)
async def upload_file(
    *,
    account_id: FromPath[str],
    day: FromPath[str],
    request: Req,
    admin: Admin,
    actor: Who,
    kind: Annotated[
        StatementKind, QueryParameter(description="Which bill.", examples=[Example(value="trade")])
    ] = StatementKind.TRADE,
    fund: Annotated[
        str, QueryParameter(max_length=20, description="Whose fund bill.", examples=[Example(value="BASIC")])
    ] = "",
) -> Response[DayView]:
    """The bill as the channel publishes it, as `application/octet-stream`, up to 64 MiB, gzipped or not: taken in whole
    and matched, or refused with the line and the reason (422 `bill_invalid`; `bill_too_large` for what unpacks to more
    than 1 GiB, or to more than any bill does), and then nothing has changed. The file that is in force already changes
    nothing; another one takes its place, and reopens a closed day."""
    when = day_of(day)
    async with _received(request) as (source, sha256):

        async def run() -> DayView:
            return day_view(await admin.upload_statement(actor, account_id, when, source, kind=kind, fund=fund))

        return await once(admin, request, actor, Handed(kind=kind, fund=fund, sha256=sha256), run, status=200)


def _bill_view(file: StatementFile) -> BillView:
    return BillView(
        id=file.id,
        kind=file.kind,
        fund=file.fund,
        sha256=file.sha256,
        size=file.size,
        lines=file.lines,
        provenance=file.provenance,
        received_at=rfc3339(file.received_at),
    )


@asynccontextmanager
async def _received(request: Req) -> AsyncIterator[tuple[IO[bytes], str]]:
    """The body as a file that is gone afterwards, and its SHA-256."""
    if request.content_type[0].lower() != OCTETS:
        raise BadRequest(f"send the file as {OCTETS}", "media_type_unsupported", status=415)
    digest = hashlib.sha256()
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        async for piece in request.stream():
            digest.update(piece)
            file.write(piece)
        yield file, digest.hexdigest()


HANDLERS = [get_day, upload_file]
