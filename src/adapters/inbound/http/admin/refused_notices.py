"""/admin/v1: channel notices that an operator has read again after a fix, refused ones and verified ones."""

from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from adapters.inbound.http.admin.guard import needs
from adapters.inbound.http.admin.kit import Admin, Who, once
from adapters.inbound.http.kit import Limit, Req
from adapters.inbound.http.views import OBJECT, Time
from domain.channels import Channel
from domain.times import rfc3339

TAGS = ["Notices"]


class RefusedNoticeView(msgspec.Struct, kw_only=True):
    """A notice that we did not believe."""

    id: Annotated[str, Meta(description="Our id.", examples=["ntc_01KB5P4Z0W3V7H2M9T8Q6R5N4K"])]
    object: Annotated[Literal["refused_notice"], OBJECT]
    channel: Annotated[Channel, Meta(description="At which channel's address.", examples=["wechat"])]
    account_id: Annotated[str, Meta(description="For which account.", examples=["cha_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])]
    reason: Annotated[str, Meta(description="Why, as our log has it.", examples=["signature_invalid"])]
    bytes: Annotated[int, Meta(ge=0, description="How long its body is, as kept.", examples=[1184])]
    received_at: Time


class RefusedNoticeList(msgspec.Struct, kw_only=True):
    """The latest ones, newest first."""

    data: Annotated[list[RefusedNoticeView], Meta(description="At most a hundred an account and hour are kept.")]
    next_cursor: Annotated[None, Meta(description="Always null.", examples=[None])] = None


class VerifiedNotice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which notice to read again. Its id is the channel's, and may hold any character."""

    account_id: Annotated[
        str, Meta(max_length=64, description="Of account.", examples=["cha_01KB5P4Z0W3V7H2M9T8Q6R5N4B"])
    ]
    notice_id: Annotated[
        str, Meta(max_length=200, description="The channel's id.", examples=["EV-2026110122511223320873"])
    ]


class ReadAgainView(msgspec.Struct, kw_only=True):
    """What came of reading it again."""

    accepted: Annotated[bool, Meta(description="Whether we believe it now.", examples=[True])]
    outcome: Annotated[str, Meta(description="What it led to, or why not.", examples=["confirmed"])]


@get(
    "/refused_notices",
    summary="Notices that were refused",
    operation_id="listRefusedNotices",
    tags=TAGS,
    opt=needs("notices.read"),
)
async def list_refused(admin: Admin, limit: Limit = 20) -> RefusedNoticeList:
    """What the channels, or somebody else, sent in the last seven days and we did not believe."""
    found = await admin.read_notice_again.refusals(limit=limit)
    return RefusedNoticeList(
        data=[
            RefusedNoticeView(
                id=one.id,
                object="refused_notice",
                channel=one.channel,
                account_id=one.account_id,
                reason=one.reason,
                bytes=len(one.body),
                received_at=rfc3339(one.received_at),
            )
            for one in found
        ]
    )


@post(
    "/refused_notices/{notice_id:str}/read_again",
    status_code=200,
    summary="Read it again",
    operation_id="readNoticeAgain",
    tags=TAGS,
    opt=needs("notices.read_again", step_up=True),
)
async def read_refused_again(
    notice_id: FromPath[str], request: Req, admin: Admin, actor: Who
) -> Response[ReadAgainView]:
    """After a mistake of ours (a missing key, say) was mended: believed or refused by the rules it came under."""

    async def run() -> ReadAgainView:
        handled = await admin.read_notice_again.refused(actor, notice_id)
        return ReadAgainView(accepted=handled.accepted, outcome=str(handled.outcome))

    return await once(admin, request, actor, None, run, status=200)


@post(
    "/notices/read_again",
    status_code=200,
    summary="Read a verified one again",
    operation_id="readVerifiedNoticeAgain",
    tags=TAGS,
    opt=needs("notices.read_again", step_up=True),
)
async def read_verified_again(
    data: JSONBody[VerifiedNotice], request: Req, admin: Admin, actor: Who
) -> Response[ReadAgainView]:
    """After a mistake of ours (another payee in the account, say) was mended, one that was rightly signed but did not
    fit: verified again, as of when it came. What it leads to now is listed beside what it led to before, under its id
    and a mark. Reading once more what was taken changes nothing."""

    async def run() -> ReadAgainView:
        handled = await admin.read_notice_again.verified(actor, data.account_id, data.notice_id)
        return ReadAgainView(accepted=handled.accepted, outcome=str(handled.outcome))

    return await once(admin, request, actor, data, run, status=200)


HANDLERS = [list_refused, read_refused_again, read_verified_again]
