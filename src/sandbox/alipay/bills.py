"""Bills (支付宝「查询对账单下载地址」): a zip of two GBK CSVs, details and sums, under names in GBK."""

import io
import secrets
import zipfile
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from sandbox.alipay import sharing, transfers
from sandbox.alipay.calls import Call, Refused, parameter
from sandbox.alipay.notices import BUYER
from sandbox.model import Trade
from sandbox.wire import BEIJING, beijing
from sandbox.world import World

_LIVES_SECONDS = 30.0
_MADE_BY = time(9)  # of the next day
_TRADE_NAMES = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
_FUND_NAMES = (
    "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,"
    "交易渠道,业务类型,备注"
)


class Asked(msgspec.Struct):
    """A bill that may be fetched for half a minute."""

    account: str
    seller_id: str
    kind: str
    day: str
    until: float
    spoilt: str = ""


@dataclass(frozen=True)
class Moved:
    """One payment or refund of a seller, as both bills tell it; amounts in fen, out of the account below zero."""

    trade: Trade
    at: float
    amount: int
    received: int
    fee: int
    refund: str = ""


@dataclass(frozen=True)
class Flow:
    """One line of the fund bill: what moved in the account, signed fen."""

    at: float
    transaction: str
    number: str
    name: str
    counterpart: str
    amount: int
    words: str


def address(world: World, call: Call) -> dict[str, str]:
    """Where a day's bill can be fetched; a day without business, or not over yet, has none."""
    kind, text = call.text("bill_type"), call.text("bill_date")
    if kind not in ("trade", "signcustomer"):
        raise parameter("bill_type")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise parameter("bill_date") from None
    made = datetime.combine(day + timedelta(days=1), _MADE_BY, BEIJING).timestamp()
    if "bill_late" in call.faults or "bill_empty" in call.faults:
        raise Refused("40004", "isp.bill_not_exist", "账单不存在")
    early = world.now() < made and world.store.settings().alipay_bills == "clock"
    moves = _moves(world, call.app.app_id, call.seller_id)
    moments = (
        [flow.at for flow in _flows(world, call.app.app_id, call.seller_id, moves)] if kind == "signcustomer" else []
    )
    if early or not any(_on(at, day) for at in (*moments, *(moved.at for moved in moves))):
        raise Refused("40004", "isp.bill_not_exist", "账单不存在")
    token = secrets.token_hex(16)
    spoilt = next((name for name in ("bill_truncated", "bill_differs") if name in call.faults), "")
    asked = Asked(call.app.app_id, call.seller_id, kind, text, world.now() + _LIVES_SECONDS, spoilt)
    world.store.put("bill", token, asked)
    return {"bill_download_url": f"{world.public_url}/downloadBillFile.resource?fileId={token}"}


@get("/downloadBillFile.resource")
async def bill(world: NamedDependency[World], fileId: FromQuery[str] = "") -> Response[bytes]:  # noqa: N803 - Alipay's
    """The file of an address that is not older than half a minute."""
    asked = world.store.thing("bill", fileId, Asked)
    if asked is None or world.now() > asked.until:
        return Response(b"", status_code=403)
    file = _zip(world, asked)
    return Response(file[: len(file) // 2] if asked.spoilt == "bill_truncated" else file, media_type="application/zip")


def _moves(world: World, account: str, seller_id: str) -> list[Moved]:
    """Everything that this seller was ever paid and gave back, by time."""
    ppm = world.store.settings().alipay_fee_ppm
    moves = []
    for trade in world.store.trades("alipay"):
        if trade.account != account or trade.echo.get("seller_id") != seller_id or not trade.payments:
            continue
        for payment in trade.payments:
            fee = _fee(payment.received, ppm)
            moves.append(Moved(trade, payment.paid_at, payment.amount, payment.received, -fee))
        paid, given, returned = trade.payments[0].received, 0, 0
        for refund in trade.refunds:
            given += refund.amount
            share = (_fee(paid, ppm) * given * 2 + paid) // (2 * paid)
            moves.append(Moved(trade, refund.made_at, -refund.amount, -refund.amount, share - returned, refund.number))
            returned = share
    return sorted(moves, key=lambda moved: moved.at)


def _fee(received: int, ppm: int) -> int:
    return (received * ppm * 2 + 10**6) // (2 * 10**6)


def _on(at: float, day: date) -> bool:
    return datetime.fromtimestamp(at, BEIJING).date() == day


def _zip(world: World, asked: Asked) -> bytes:
    day, moves = date.fromisoformat(asked.day), _moves(world, asked.account, asked.seller_id)
    if asked.spoilt == "bill_differs":
        # The bill is at one with itself: only the merchant knows that it was another amount.
        moves = [
            replace(one, amount=one.amount + 1, received=one.received + 1) if one.received > 0 else one for one in moves
        ]
    account, word = f"{asked.seller_id}0156", "业务" if asked.kind == "trade" else "账务"
    if asked.kind == "trade":
        table = _trade_table(moves, day)
    else:
        table = _fund_table(_flows(world, asked.account, asked.seller_id, moves), day)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in (
            (f"{account}_{day:%Y%m%d}_{word}明细.csv", _details(account, day, word, table)),
            (f"{account}_{day:%Y%m%d}_{word}明细(汇总).csv", _summary(account, day, word, moves)),
        ):
            bundle.writestr(_NamedInGbk(name, _now().timetuple()[:6]), "\r\n".join(content).encode("gbk", "replace"))
    return packed.getvalue()


class _NamedInGbk(zipfile.ZipInfo):
    """An entry whose name is GBK and whose flags do not say UTF-8, as Alipay packs them."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def _now() -> datetime:
    return datetime.now(BEIJING)


def _details(account: str, day: date, word: str, table: list[str]) -> list[str]:
    return [*_head(account, day, f"#支付宝{word}明细查询"), _bar(f"{word}明细列表"), *table, _exported(), ""]


def _head(account: str, day: date, title: str) -> list[str]:
    following = day + timedelta(days=1)
    period = f"#起始日期：[{day:%Y年%m月%d日} 00:00:00]   终止日期：[{following:%Y年%m月%d日} 00:00:00]"
    return [title, f"#账号：[{account}]", period]


def _bar(word: str) -> str:
    return f"#{'-' * 41}{word}{'-' * 40}"


def _exported() -> str:
    return f"#导出时间：[{_now():%Y年%m月%d日 %H:%M:%S}]"


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _name(trade: Trade) -> str:
    return trade.subject.replace(",", "，").replace("\n", " ").replace("\r", " ").replace('"', "”")


def _trade_table(moves: list[Moved], day: date) -> list[str]:
    todays = [moved for moved in moves if _on(moved.at, day)]
    rows = [_TRADE_NAMES, *(_trade_row(moved) for moved in todays), _bar("业务明细列表结束")]
    paid, back = [one for one in todays if not one.refund], [one for one in todays if one.refund]
    rows.append(f"#交易合计：{len(paid)}笔，商家实收共{_yuan(sum(one.received for one in paid))}元，商家优惠共0.00元")
    given = _yuan(sum(one.received for one in back))
    rows.append(f"#退款合计：{len(back)}笔，商家实收退款共{given}元，商家优惠退款共0.00元")
    return rows


def _trade_row(moved: Moved) -> str:
    trade, tab = moved.trade, "\t"
    coupon = moved.amount - moved.received
    values = [
        f"{trade.transaction}\t",
        f"{trade.number}\t",
        f"{'退款' if moved.refund else '交易'}\t",
        _name(trade),
        beijing(trade.scanned_at or trade.created_at),
        beijing(moved.at),
        *(tab, tab, tab, tab),
        f"沙*({BUYER['buyer_logon_id']})\t",
        *(_yuan(moved.amount), _yuan(moved.received), "0.00", "0.00", "0.00", _yuan(coupon), "0.00", ""),
        *("0.00\t", "0.00", f"{moved.refund}\t", _yuan(moved.fee), "0.00", trade.echo.get("body", "")),
    ]
    return ",".join(values)


def _fund_table(flows: list[Flow], day: date) -> list[str]:
    """Newest first, as the real ones are; the balance is that after each line."""
    rows: list[str] = []
    income, expense, balance = [0, 0], [0, 0], 0
    for flow in flows:
        balance += flow.amount
        if not _on(flow.at, day):
            continue
        side = income if flow.amount > 0 else expense
        side[0], side[1] = side[0] + 1, side[1] + abs(flow.amount)
        rows.append(_fund_row(flow, balance, len(rows)))
    ends = [f"#支出合计：{expense[0]}笔，共{_yuan(-expense[1])}元", f"#收入合计：{income[0]}笔，共{_yuan(income[1])}元"]
    return [_FUND_NAMES, *reversed(rows), _bar("账务明细列表结束"), *ends]


def _flows(world: World, account: str, seller_id: str, moves: list[Moved]) -> list[Flow]:
    """All that moved in the account: trades and what Alipay charges for them (or gives back), transfers, shares."""
    flows = []
    for moved in moves:
        trade, buyer = moved.trade, f"沙* ({BUYER['buyer_logon_id']})"
        for amount, words in ((moved.received, "交易退款" if moved.refund else "在线支付"), (moved.fee, "收费")):
            if amount:
                flows.append(Flow(moved.at, trade.transaction, trade.number, _name(trade), buyer, amount, words))
    for at, one, amount in transfers.flows(world, account):
        words = "转账" if amount < 0 else "转账退回"
        flows.append(Flow(at, one.id, one.number, one.title, f"{one.name} ({one.identity})", amount, words))
    for at, trade, other, amount in sharing.flows(world, seller_id):
        flows.append(Flow(at, trade.transaction, trade.number, _name(trade), other, amount, "交易分账"))
    return sorted(flows, key=lambda flow: flow.at)


def _fund_row(flow: Flow, balance: int, place: int) -> str:
    values = [
        f"{int(flow.at * 1000)}{place:04d}\t",
        f"{flow.transaction}\t",
        f"{flow.number}\t",
        f"{flow.name}\t",
        beijing(flow.at),
        f"{flow.counterpart}\t",
        _yuan(max(flow.amount, 0)),
        _yuan(min(flow.amount, 0)),
        _yuan(balance),
        *("支付宝", flow.words, ""),
    ]
    return ",".join(values)


def _summary(account: str, day: date, word: str, moves: list[Moved]) -> list[str]:
    todays = [moved for moved in moves if _on(moved.at, day)]
    rows = []
    for kind in ("交易", "退款"):
        some = [one for one in todays if bool(one.refund) == (kind == "退款")]
        received, fee = (_yuan(sum(getattr(one, name) for one in some)) for name in ("received", "fee"))
        rows.append(f"{kind},{len(some)},{received},{fee}")
    names = "类型,总笔数,商家实收（元）,服务费（元）"
    title = f"#支付宝{word}汇总查询"
    ends = [_bar(f"{word}汇总列表结束"), _exported(), ""]
    return [*_head(account, day, title), _bar(f"{word}汇总列表"), names, *rows, *ends]


handlers = [bill]
