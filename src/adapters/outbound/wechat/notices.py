"""WeChat Pay's notices (支付成功, 退款结果, 商家转账): signed like its answers, with a sealed resource inside."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from adapters.channel_wire import Unreadable
from adapters.outbound.wechat import parties, payouts
from adapters.outbound.wechat.reports import refund_report, report, text
from adapters.outbound.wechat.sdk import unseal
from adapters.outbound.wechat.signatures import Disbelieved, Signatures, signing
from domain.channels import Access, ChannelNotice, ChannelReport, RefundReport
from domain.errors import NoticeRejected

_REFUNDS = frozenset({"REFUND.SUCCESS", "REFUND.CLOSED", "REFUND.ABNORMAL"})


def read(
    signatures: Signatures, apiv3_key: str, access: Access, headers: Mapping[str, str], body: bytes, *, now: datetime
) -> ChannelNotice:
    """A notice that WeChat Pay signed within the last five minutes. Raises NoticeRejected.

    A payment that rightly signed speaks of another appid or merchant is returned as it is: its receipt says so, and
    the use case keeps it as an exception. A refund of another merchant concerns nobody here.
    """
    try:
        signatures.verify(headers, body, now)
        return replace(_notice(apiv3_key, access, body), headers=signing(headers))
    except (Disbelieved, Unreadable) as error:
        raise NoticeRejected(str(error), code=error.code) from error
    except (ValueError, RecursionError) as error:
        raise NoticeRejected("it cannot be read", code="notice_invalid") from error


def _notice(apiv3_key: str, access: Access, body: bytes) -> ChannelNotice:
    content = json.loads(body)
    if not isinstance(content, dict):
        raise Unreadable("not an object")
    id_, kind = text(content, "id"), text(content, "event_type")
    resource = content.get("resource")
    if content.get("resource_type") != "encrypt-resource" or not isinstance(resource, dict):
        raise Unreadable("no sealed resource")
    original = resource.get("original_type")
    if kind == "TRANSACTION.SUCCESS" and original == "transaction":
        return ChannelNotice(id_, kind, _report(unseal(resource, apiv3_key), access))
    if kind in _REFUNDS and original == "refund":
        return ChannelNotice(id_, kind, None, _refund(unseal(resource, apiv3_key), access))
    if kind == payouts.FINISHED and original == "mch_payment":
        return ChannelNotice(id_, kind, None, payout=payouts.noticed(unseal(resource, apiv3_key), access))
    return ChannelNotice(id_, kind, None)


def _report(transaction: Mapping[str, object], access: Access) -> ChannelReport | None:
    said = report(transaction, lambda told: parties.receiver(told, access))
    # Money is reported whoever's it is; that a stranger's order waits or is closed says nothing of ours.
    return said if said.receipt or parties.ours(transaction, access) else None


def _refund(refund: Mapping[str, object], access: Access) -> RefundReport | None:
    said = refund_report(refund)
    return said if parties.our_refund(refund, access) else None
