"""WeChat Pay's bills (微信支付「申请交易账单」「申请资金账单」「下载账单」): CSV, each value behind a backtick."""

import gzip
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from sandbox.model import Payment, Refund, Trade
from sandbox.wechat import sharing, transfers
from sandbox.wechat.notices import OPENID
from sandbox.wechat.orders import Call, Refused, parameter
from sandbox.wire import BEIJING, beijing, yuan
from sandbox.world import World

_FILE_LIFE = 5 * 60.0
_DAYS_BACK = 92
_READY = {"trade": 10, "fund": 9}  # o'clock, the day after
_RATE, _RATE_TEXT = 3_800, "0.38%"  # parts per million
_TYPES = ("ALL", "SUCCESS", "REFUND")
_FEE = 22  # the fee's place in a row
_ACCOUNTS = ("BASIC", "OPERATION", "FEES")
_OPERATION_BEFORE = 1_000_000_00  # what merchants had put into 运营账户 before the box began, in fen
_TRADE_HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
_TRADE_SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
_FUND_HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,"
    "备注,业务凭证号"
)
_FUND_SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"


class File(msgspec.Struct):
    """A bill as it is to be downloaded."""

    mchid: str
    content: bytes
    expires_at: float


class Fact(NamedTuple):
    """Money that moved at a moment: what the merchant received or gave back, and the fee for it, in fen."""

    at: float
    trade: Trade
    payment: Payment
    refund: Refund | None
    reversal: bool
    received: int
    fee: int


class Flow(NamedTuple):
    """One movement of an account, as its bill tells it; `amount` in signed fen."""

    at: float
    business: str
    name: str
    kind: str
    amount: int
    note: str
    voucher: str


def trade_bill(world: World, call: Call) -> tuple[int, Any]:
    """「申请交易账单」: what payers paid and got back on a day; a provider's may be of one sub-merchant."""
    day, kind = _day(world, call, "trade"), call.query.get("bill_type", "ALL")
    if kind not in _TYPES:
        raise parameter("bill_type", kind, "账单类型不正确", "query")
    wanted = {"ALL": (True, False), "SUCCESS": (False,), "REFUND": (True,)}[kind]
    sub_mchid = call.query.get("sub_mchid")
    facts = [
        fact
        for fact in _facts(world, call.merchant.mchid)
        if _on(fact.at) == day
        and (fact.refund is not None or fact.reversal) in wanted
        and sub_mchid in (None, fact.trade.echo["parties"].get("sub_mchid"))
    ]
    rows = [_trade_row(call.merchant.mchid, fact) for fact in facts]
    if "bill_differs" in call.faults:
        for row in [row for row in rows if row[9] == "SUCCESS"][:1]:
            row[12] = row[24] = f"{Decimal(row[12]) + Decimal('0.01'):.2f}"
    sums = [f"{_sum(row[place] for row in rows):.{5 if place == _FEE else 2}f}" for place in (12, 16, 17, _FEE, 24, 25)]
    return _published(world, call, rows, (_TRADE_HEADER, _TRADE_SUMMARY), [str(len(rows)), *sums])


def fund_bill(world: World, call: Call) -> tuple[int, Any]:
    """「申请资金账单」: what moved in the merchant's own account; a provider's are not its sub-merchants'."""
    day, account = _day(world, call, "fund"), call.query.get("account_type", "BASIC")
    if account not in _ACCOUNTS:
        raise parameter("account_type", account, "资金账户类型不正确", "query")
    rows, balance = list[list[str]](), _OPERATION_BEFORE if account == "OPERATION" else 0
    ins, outs = list[int](), list[int]()
    for flow in _flows(world, call.merchant.mchid, account):
        balance += flow.amount
        if _on(flow.at) == day:
            (ins if flow.amount > 0 else outs).append(abs(flow.amount))
            rows.append(_fund_row(flow, balance))
    totals = [str(len(rows)), str(len(ins)), yuan(sum(ins)), str(len(outs)), yuan(sum(outs))]
    return _published(world, call, rows, (_FUND_HEADER, _FUND_SUMMARY), totals)


def file(world: World, call: Call) -> tuple[int, Any]:
    """「下载账单」: the file behind a token, for some minutes and for its own merchant."""
    found = world.store.thing("bill", str(call.query.get("token", "")), File)
    if found is None or found.mchid != call.merchant.mchid or world.now() > found.expires_at:
        raise Refused(400, "INVALID_REQUEST", "账单下载地址已失效")
    return 200, found.content


def _day(world: World, call: Call, kind: str) -> date:
    """The day that is asked for, if its bill is there."""
    text = call.query.get("bill_date", "")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise parameter("bill_date", text, "账单日期应为YYYY-MM-DD格式", "query") from None
    now = datetime.fromtimestamp(world.now(), BEIJING)
    if not now.date() - timedelta(days=_DAYS_BACK) <= day <= now.date():
        raise parameter("bill_date", text, "仅支持三个月内的账单下载申请", "query")
    ready = datetime(day.year, day.month, day.day, _READY[kind], tzinfo=BEIJING) + timedelta(days=1)
    if (world.store.settings().wechat_bills == "clock" and now < ready) or "bill_late" in call.faults:
        raise Refused(400, "STATEMENT_CREATING", "账单生成中，请稍后再试")
    return day


def _published(
    world: World, call: Call, rows: Sequence[Sequence[str]], titles: tuple[str, str], totals: Sequence[str]
) -> tuple[int, Any]:
    """Where the file is, and its hash, which is of the plain file."""
    if not rows or "bill_empty" in call.faults:
        raise Refused(400, "NO_STATEMENT_EXIST", "账单文件不存在")
    lines = [titles[0], *(_line(row) for row in rows), titles[1], _line(totals)]
    plain = "".join(f"{line}\r\n" for line in lines).encode()
    digest = hashlib.sha1(plain, usedforsecurity=False).hexdigest()
    content = plain[: len(plain) // 2] if "bill_truncated" in call.faults else plain
    if call.query.get("tar_type") == "GZIP":
        content = gzip.compress(content)
    token = secrets.token_urlsafe(48)
    world.store.put("bill", token, File(call.merchant.mchid, content, world.now() + _FILE_LIFE))
    address = f"{world.public_url}/v3/billdownload/file?token={token}"
    return 200, {"hash_type": "SHA1", "hash_value": digest, "download_url": address}


def _line(values: Iterable[str]) -> str:
    return ",".join("`" + value.replace(",", " ").replace("`", " ") for value in values)


def _facts(world: World, mchid: str) -> list[Fact]:
    """Everything that moved money of a merchant, in its order."""
    facts = []
    for trade in world.store.trades("wechat"):
        if trade.account != mchid or not trade.payments:
            continue
        facts += [
            Fact(one.paid_at, trade, one, None, False, one.received, _fee(one.received)) for one in trade.payments
        ]
        first, before = trade.payments[0], 0
        for refund in trade.refunds:
            if refund.state != "closed":
                back = _fee_share(first, before + refund.received_part) - _fee_share(first, before)
                before += refund.received_part
                facts.append(Fact(refund.made_at, trade, first, refund, False, refund.received_part, back))
        if trade.echo.get("reversed") and trade.closed_at:
            facts.append(Fact(trade.closed_at, trade, first, None, True, first.received, _fee(first.received)))
    return sorted(facts, key=lambda fact: fact.at)


def _fee(received: int) -> int:
    return (received * _RATE + 500_000) // 1_000_000


def _fee_share(payment: Payment, refunded: int) -> int:
    """The part of the fee that has come back when so much was refunded."""
    return (2 * _fee(payment.received) * refunded + payment.received) // (2 * payment.received)


def _trade_row(mchid: str, fact: Fact) -> list[str]:
    trade, payment, refund, parties = fact.trade, fact.payment, fact.refund, fact.trade.echo["parties"]
    paid = refund is None and not fact.reversal
    state = "SUCCESS" if paid else "REVOKED" if fact.reversal else "REFUND"
    went = payment.amount if refund is None else refund.amount
    return [
        beijing(fact.at),
        parties.get("sub_appid") or parties.get("appid") or parties.get("sp_appid", ""),
        mchid,
        parties.get("sub_mchid", "0"),
        "",
        payment.transaction,
        trade.number,
        next(iter((trade.echo.get("payer") or {"": OPENID}).values())),
        trade.echo.get("trade_type", "NATIVE"),
        state,
        "OTHERS",
        "CNY",
        yuan(fact.received) if paid else "0.00",
        yuan(payment.received - payment.payer_paid) if paid else "0.00",
        "0" if refund is None else refund.id,
        "0" if refund is None else refund.number,
        "0.00" if paid else yuan(fact.received),
        "0.00",
        "" if paid else "ORIGINAL",
        "" if paid else "PROCESSING" if refund and refund.state == "accepted" else "SUCCESS",
        trade.subject,
        trade.echo.get("attach", ""),
        f"{'' if paid else '-'}{yuan(fact.fee)}000",
        _RATE_TEXT,
        yuan(payment.amount) if paid else "0.00",
        "0.00" if paid else yuan(went),
        "",
    ]


def _flows(world: World, mchid: str, account: str) -> list[Flow]:
    """What moved in one of a merchant's accounts: transfers go out of 运营账户, all else is of 基本账户."""
    if account == "OPERATION":
        return [
            Flow(at, bill.id, *(("商家转账",) * 2 if amount < 0 else ("商家转账退回",) * 2), amount, "", bill.number)
            for at, bill, amount in transfers.flows(world, mchid)
        ]
    if account != "BASIC":
        return []
    facts = [fact for fact in _facts(world, mchid) if "sub_mchid" not in fact.trade.echo["parties"]]
    flows = [_flow(fact, name, kind, amount) for fact in facts for name, kind, amount in _movements(fact)]
    for at, words, part, amount, number in sharing.flows(world, mchid):
        flows.append(Flow(at, part.id, words, words, amount, part.description, number))
    return sorted(flows, key=lambda flow: flow.at)


def _movements(fact: Fact) -> list[tuple[str, str, int]]:
    """Name, kind and amount of what a fact moves. The fee is a movement of its own; a refund's comes back within it."""
    if fact.refund is None and not fact.reversal:
        fee = [("扣除交易手续费", "扣除交易手续费", -fact.fee)] if fact.fee else []
        return [("交易", "交易", fact.received), *fee]
    return [("退款", "退款", fact.fee - fact.received)]


def _flow(fact: Fact, name: str, kind: str, amount: int) -> Flow:
    note, voucher, business = "结算总金额", fact.trade.number, fact.payment.transaction
    if amount < 0 and kind == "退款":
        note = f"退款总金额{yuan(fact.received)}元;含手续费{yuan(fact.fee)}元"
        if fact.refund is not None:
            voucher, business = fact.refund.number, fact.refund.id
    return Flow(fact.at, business, name, kind, amount, note, voucher)


def _fund_row(flow: Flow, balance: int) -> list[str]:
    digest = hashlib.sha1(f"{flow.business} {flow.kind}".encode(), usedforsecurity=False).hexdigest()
    return [
        beijing(flow.at),
        flow.business,
        f"{int(digest[:20], 16):028d}"[-28:],
        flow.name,
        flow.kind,
        "收入" if flow.amount > 0 else "支出",
        yuan(abs(flow.amount)),
        f"{'-' if balance < 0 else ''}{yuan(abs(balance))}",
        "system",
        flow.note,
        flow.voucher,
    ]


def _on(moment: float) -> date:
    return datetime.fromtimestamp(moment, BEIJING).date()


def _sum(amounts: Iterable[str]) -> Decimal:
    return sum(map(Decimal, amounts), Decimal(0))
