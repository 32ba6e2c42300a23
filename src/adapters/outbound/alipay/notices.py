"""Alipay's asynchronous notices: a form in a POST, signed with RSA2 (https://docs.open.alipay.com/270/105902)."""

from collections.abc import Mapping
from urllib.parse import unquote_plus

from adapters.channel_wire import Unreadable
from adapters.outbound.alipay import refunds
from adapters.outbound.alipay.reports import report, text
from adapters.outbound.alipay.sdk import Gateway
from domain.channels import Access, ChannelNotice, ChannelReport
from domain.errors import NoticeRejected


def read(gateway: Gateway, access: Access, body: bytes) -> ChannelNotice:
    """A notice that Alipay signed for this application. Raises NoticeRejected.

    One that rightly signed speaks of another application or seller is returned as it is: its receipt says so, and the
    use case keeps it as an exception.
    """
    fields = _form(body)
    signature, sign_type = fields.pop("sign", ""), fields.pop("sign_type", "")
    if fields.get("charset", "utf-8").lower() != "utf-8":
        raise NoticeRejected("not in the charset that we ask for", code="charset")
    if sign_type != "RSA2":
        raise NoticeRejected("not signed with RSA2", code="sign_type")
    if not gateway.signed(fields, signature):
        raise NoticeRejected("the signature does not fit", code="bad_signature")
    try:
        return _notice(fields, access)
    except Unreadable as error:
        raise NoticeRejected(str(error), code=error.code) from error


def _notice(fields: Mapping[str, str], access: Access) -> ChannelNotice:
    id_ = text(fields, "notify_id")
    if refunds.is_notice(fields):
        # Full or partial, TRADE_CLOSED or TRADE_SUCCESS again: it says nothing new of the payment.
        return ChannelNotice(id_, "refund", None, refunds.noticed(fields) if _ours(fields, access) else None)
    kind = text(fields, "notify_type")
    if "trade_status" not in fields:
        return ChannelNotice(id_, kind, None)
    return ChannelNotice(id_, kind, _report(fields, access))


def _report(fields: Mapping[str, str], access: Access) -> ChannelReport | None:
    app_id, payee = _named(fields, access)
    said = report(fields, app_id=app_id, payee=payee)
    # Money is reported whoever's it is; that a stranger's trade waits or is closed says nothing of ours.
    return said if said.receipt or _ours(fields, access) else None


def _named(fields: Mapping[str, str], access: Access) -> tuple[str, str]:
    return text(fields, "app_id"), fields.get("seller_id") or access.account.payee


def _ours(fields: Mapping[str, str], access: Access) -> bool:
    return _named(fields, access) == (access.credential.app_id, access.account.payee)


def _form(body: bytes) -> dict[str, str]:
    """Strict: one value a name, UTF-8 only. What is read leniently could be read differently from what was signed."""
    fields: dict[str, str] = {}
    try:
        for pair in body.decode("ascii").split("&"):
            name, equals, value = pair.partition("=")
            name = _decoded(name)
            if not equals or not name or name in fields:
                raise NoticeRejected("not a form with one value a name", code="form_invalid")
            fields[name] = _decoded(value)
    except UnicodeDecodeError as error:
        raise NoticeRejected("not UTF-8", code="form_invalid") from error
    return fields


def _decoded(text: str) -> str:
    # Half of them are plain, and the library takes its time to find that out.
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text
