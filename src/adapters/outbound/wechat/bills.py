"""Fetching WeChat Pay's bills (申请交易账单, 申请资金账单, 下载账单) into a file, by a hash that was signed.

https://pay.weixin.qq.com/doc/v3/merchant/4013071236 and 4013071241: the address is good for minutes, the file itself is
not signed, and SHA1 is over the plain file.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import date
from typing import IO, Any

import httpx

from adapters.channel_wire import Unreadable
from adapters.outbound.wechat import answers
from adapters.outbound.wechat.reports import text
from adapters.outbound.wechat.sdk import Merchant
from domain.channels import Access
from domain.errors import ChannelRejected, ChannelUnavailable, OutcomeUnknown
from domain.statements import StatementKind

FUNDS = ("BASIC", "OPERATION", "FEES")
DOWNLOAD_SECONDS = 900.0
_LIMIT = 4 << 30  # bytes: more than any day of anybody
_NONE = frozenset({"NO_STATEMENT_EXIST", "NO_BILL_EXIST"})
_MAKING = frozenset({"STATEMENT_CREATING", "BILL_CREATING"})
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")


def path(access: Access, kind: StatementKind, day: date, fund: str) -> str:
    """What to ask for. A provider's fund bill is of its own account and never a sub-merchant's."""
    if kind is StatementKind.FUND:
        if access.credential.provider is not None:
            raise ChannelRejected("a sub-merchant's fund bill is not the provider's to have", code="bill_not_permitted")
        return f"/v3/bill/fundflowbill?bill_date={day}&account_type={fund}"
    sub_merchant = f"&sub_mchid={access.account.payee}" if access.credential.provider else ""
    return f"/v3/bill/tradebill?bill_date={day}&bill_type=ALL{sub_merchant}"


def published(status: int, answer: Mapping[str, Any], kind: StatementKind) -> tuple[str, str] | None:
    """Where the bill is and its SHA1; None where the channel says that there is none."""
    code = answers.code_of(answer)
    if 400 <= status < 500 and code in _NONE:
        return None
    if 400 <= status < 500 and code in _MAKING:
        raise ChannelUnavailable("WeChat Pay is still making this bill", code="bill_not_ready")
    if kind is StatementKind.FUND and code == "NO_AUTH":
        raise ChannelRejected("this account may not have its fund bill", code="bill_not_permitted")
    answers.accepted(status, answer, success=200)
    try:
        address, digest = text(answer, "download_url"), text(answer, "hash_value")
    except Unreadable as error:
        raise OutcomeUnknown(str(error), code=error.code) from error
    if answer.get("hash_type") != "SHA1" or not _SHA1.fullmatch(digest):
        raise OutcomeUnknown("WeChat Pay gave no SHA1", code="answer_invalid")
    return address, digest.lower()


async def download(client: httpx.AsyncClient, merchant: Merchant, address: str, digest: str, into: IO[bytes]) -> None:
    """Writes the file as it is. Raises OutcomeUnknown for one that is not what was announced."""
    found, size = hashlib.sha1(usedforsecurity=False), 0
    headers = {"Authorization": merchant.authorization(address), "Accept-Encoding": "identity"}
    try:
        async with client.stream("GET", address, headers=headers) as response:
            if response.status_code != 200:
                raise ChannelUnavailable(f"WeChat Pay answered {response.status_code} for the bill's file")
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > _LIMIT:
                    raise OutcomeUnknown("WeChat Pay's bill does not end", code="answer_too_large")
                found.update(chunk)
                into.write(chunk)
    except httpx.RequestError as error:
        raise ChannelUnavailable(f"the bill's file did not come: {type(error).__name__}") from error
    if not hmac.compare_digest(found.hexdigest(), digest):
        raise OutcomeUnknown("the bill's file is not the one that was announced", code="bill_changed")
