"""The lists of the consoles: what each one shows, can be filtered by, and is sorted by."""

from collections.abc import Mapping
from enum import StrEnum

from application.confirm_attempt import Outcome
from application.ports.lists import Column, Kind, Listing
from domain.account_entries import EntryKind
from domain.actors import ActorKind
from domain.attempts import AttemptStatus
from domain.channels import Channel, FundMode, Method, Mode
from domain.ledger import AccountKind
from domain.notifications import DeliveryStatus, Disabled
from domain.orders import OrderStatus
from domain.payments import SuspenseStatus, Unattributed
from domain.refunds import RefundOrigin, RefundStatus
from domain.settlements import Rail, SettlementOrigin, SettlementStatus

_ANY: tuple[str, ...] = ()
_FLAG = ("true", "false")


def _of(enum: type[StrEnum]) -> tuple[str, ...]:
    return tuple(str(member) for member in enum)


def _texts(**names: str) -> dict[str, Column]:
    return {name: Column(Kind.TEXT, zh) for name, zh in names.items()}


def _amounts(**names: str) -> dict[str, Column]:
    return {name: Column(Kind.AMOUNT, zh) for name, zh in names.items()}


def _times(**names: str) -> dict[str, Column]:
    return {name: Column(Kind.TIME, zh) for name, zh in names.items()}


_CURRENCY = {"currency": Column(Kind.TEXT, "币种")}
_MODE = {"mode": _of(Mode)}

ORDERS = Listing(
    name="orders",
    permission="orders.read",
    columns={
        **_texts(id="订单号", merchant_id="商户号", mode="模式", merchant_order_no="商户订单号", status="状态"),
        **_amounts(amount="金额", paid="已付金额", refunded="已退金额", refunding="退款中金额"),
        **_CURRENCY,
        **_texts(subject="商品", method="指定支付方式", paid_method="实际支付方式", close_reason="关闭原因"),
        **_times(created_at="创建时间", expires_at="过期时间", paid_at="支付时间", closed_at="关闭时间"),
    },
    filters={
        **_MODE,
        "merchant_id": _ANY,
        "status": _of(OrderStatus),
        "paid_method": _of(Method),
        "merchant_order_no": _ANY,
    },
    amount="amount",
    quick=(("mode",), ("mode", "status"), ("mode", "merchant_id"), ("mode", "merchant_id", "status"),
           ("merchant_order_no",)),
)  # fmt: skip

ATTEMPTS = Listing(
    name="attempts",
    permission="orders.read",
    columns={
        **_texts(id="流水号", order_id="订单号", merchant_id="商户号", mode="模式", method="支付方式"),
        **_texts(account_id="通道账户", number="通道单号", status="状态", fund_mode="资金流向", failure="失败原因"),
        **_amounts(amount="金额"),
        **_CURRENCY,
        **_times(created_at="创建时间", expires_at="过期时间", next_at="下次查询时间"),
    },
    filters={
        **_MODE,
        "merchant_id": _ANY,
        "order_id": _ANY,
        "status": _of(AttemptStatus),
        "method": _of(Method),
        "account_id": _ANY,
        "number": _ANY,
    },
    amount="amount",
    quick=(("mode",), ("mode", "status"), ("mode", "merchant_id"), ("order_id",), ("number",)),
)

CHANNEL_PAYMENTS = Listing(
    name="channel_payments",
    permission="payments.read",
    columns={
        **_texts(id="收款号", account_id="通道账户", mode="模式", fund_mode="资金流向", transaction_id="通道交易号"),
        **_texts(number="通道单号", order_id="订单号", attempt_id="流水号", merchant_id="商户号"),
        **_texts(unattributed="未入账原因", evidence="依据"),
        **_amounts(total="订单金额", received="实收金额", payer_paid="付款人实付", fee="手续费"),
        **_CURRENCY,
        **_times(recorded_at="入库时间", paid_at="支付时间"),
    },
    filters={
        **_MODE,
        "merchant_id": _ANY,
        "account_id": _ANY,
        "order_id": _ANY,
        "transaction_id": _ANY,
        "number": _ANY,
        "fund_mode": _of(FundMode),
        "unattributed": _of(Unattributed),
    },
    order=("recorded_at", "id"),
    amount="received",
    quick=(("mode",), ("mode", "merchant_id"), ("account_id",), ("order_id",), ("transaction_id",), ("number",),
           ("mode", "unattributed")),
)  # fmt: skip

SUSPENSE_ITEMS = Listing(
    name="suspense_items",
    permission="suspense.read",
    columns={
        **_texts(id="挂账号", payment_id="收款号", account_id="通道账户", mode="模式", reason="原因", status="状态"),
        **_amounts(amount="金额"),
        **_CURRENCY,
        **_times(created_at="挂账时间"),
    },
    filters={**_MODE, "status": _of(SuspenseStatus), "reason": _of(Unattributed), "account_id": _ANY},
    amount="amount",
    quick=(("mode",), ("mode", "status")),
)

REFUNDS = Listing(
    name="refunds",
    permission="refunds.read",
    columns={
        **_texts(id="退款号", order_id="订单号", payment_id="收款号", item_id="挂账号", merchant_id="商户号"),
        **_texts(mode="模式", merchant_refund_no="商户退款单号", number="通道退款单号", channel_id="通道退款号"),
        **_texts(account_id="通道账户"),
        **_texts(origin="来源", status="状态", reason="原因", failure="失败原因"),
        **_amounts(amount="退款金额", debit="通道扣款", share="退回手续费"),
        **_CURRENCY,
        **_times(created_at="创建时间", accepted_at="受理时间", succeeded_at="成功时间", next_at="下次查询时间"),
    },
    filters={
        **_MODE,
        "merchant_id": _ANY,
        "order_id": _ANY,
        "status": _of(RefundStatus),
        "origin": _of(RefundOrigin),
        "merchant_refund_no": _ANY,
        "number": _ANY,
    },
    amount="amount",
    quick=(("mode",), ("mode", "status"), ("mode", "merchant_id"), ("order_id",), ("merchant_refund_no",),
           ("number",)),
)  # fmt: skip

NOTICES = Listing(
    name="notices",
    permission="notices.read",
    columns={
        **_texts(account_id="通道账户", notice_id="通知号", kind="类型", outcome="结果"),
        **_times(received_at="接收时间"),
    },
    filters={"account_id": _ANY, "outcome": _of(Outcome), "notice_id": _ANY},
    order=("received_at", "account_id", "notice_id"),
    quick=((), ("account_id",), ("outcome",)),
)

DELIVERIES = Listing(
    name="deliveries",
    permission="deliveries.read",
    columns={
        **_texts(id="投递号", event_id="事件号", endpoint_id="通知端点", merchant_id="商户号", mode="模式"),
        **_texts(url="通知地址", status="状态"),
        "tries": Column(Kind.NUMBER, "次数"),
        **_times(created_at="创建时间", next_at="下次投递时间"),
    },
    filters={
        **_MODE, "merchant_id": _ANY, "endpoint_id": _ANY, "event_id": _ANY, "status": _of(DeliveryStatus),
    },
    quick=(("mode",), ("mode", "status"), ("mode", "merchant_id"), ("mode", "merchant_id", "status"),
           ("endpoint_id",), ("endpoint_id", "status"), ("event_id",)),
)  # fmt: skip

WEBHOOK_ENDPOINTS = Listing(
    name="webhook_endpoints",
    permission="webhooks.read",
    columns={
        **_texts(id="通知端点", merchant_id="商户号", mode="模式", url="通知地址", disabled="停用原因"),
        "enabled": Column(Kind.FLAG, "启用"),
        **_times(created_at="创建时间", disabled_at="停用时间"),
    },
    filters={**_MODE, "merchant_id": _ANY, "enabled": _FLAG, "disabled": _of(Disabled)},
    quick=(("mode",), ("mode", "merchant_id"), ("mode", "disabled")),
)

TRANSFERS = Listing(
    name="transfers",
    permission="ledger.read",
    columns={
        "id": Column(Kind.NUMBER, "分录号"),
        **_texts(idem_key="幂等键", fact="事实", about="对象", mode="模式"),
        "debit_account": Column(Kind.NUMBER, "借方账户"),
        "credit_account": Column(Kind.NUMBER, "贷方账户"),
        **_amounts(amount="金额"),
        **_CURRENCY,
        **_texts(channel_date="通道日期", posting_date="记账日期"),
        **_times(created_at="记账时间"),
    },
    filters={**_MODE, "about": _ANY, "fact": _ANY},
    order=("id",),
    amount="amount",
    quick=((), ("about",)),
)

ACCOUNT_ENTRIES = Listing(
    name="account_entries",
    permission="ledger.read",
    columns={
        **_texts(id="记账号", kind="类型", merchant_id="商户号", mode="模式"),
        **_amounts(amount="金额", repaid="抵债金额"),
        **_CURRENCY,
        **_texts(reason="原因", bank_reference="银行流水号", made_by="发起人"),
        **_times(created_at="记账时间"),
    },
    filters={**_MODE, "kind": _of(EntryKind), "merchant_id": _ANY, "bank_reference": _ANY},
    amount="amount",
    quick=(("mode",), ("mode", "merchant_id"), ("mode", "bank_reference")),
)

SETTLEMENTS = Listing(
    name="settlements",
    permission="settlements.read",
    columns={
        **_texts(id="结算号", merchant_id="商户号", mode="模式", number="打款单号", origin="来源", status="状态"),
        **_amounts(swept="归集金额", amount="结算金额", fee="结算手续费", charge="打款费用"),
        **_CURRENCY,
        "lines": Column(Kind.NUMBER, "明细数"),
        **_texts(rail="打款方式", source_owner="付款账户", reference="打款流水号", failure="失败原因"),
        **_texts(approved_by="审批人"),
        **_times(created_at="创建时间", approved_at="审批时间", paid_at="到账时间", next_at="下次查询时间"),
    },
    filters={
        **_MODE,
        "merchant_id": _ANY,
        "status": _of(SettlementStatus),
        "origin": _of(SettlementOrigin),
        "rail": _of(Rail),
        "number": _ANY,
    },
    amount="amount",
    quick=(("mode",), ("mode", "status"), ("mode", "merchant_id"), ("mode", "merchant_id", "status"), ("number",)),
)

LEDGER_ACCOUNTS = Listing(
    name="ledger_accounts",
    permission="ledger.read",
    columns={
        "id": Column(Kind.NUMBER, "账户号"),
        **_texts(kind="科目", owner="所有者", fund="子账户", mode="模式"),
        **_CURRENCY,
    },
    filters={**_MODE, "kind": _of(AccountKind), "owner": _ANY},
    order=("id",),
)

CHANNEL_ACCOUNTS = Listing(
    name="channel_accounts",
    permission="channel_accounts.read",
    columns={
        **_texts(id="通道账户", channel="通道", mode="模式", payee="收款方", merchant_id="商户号"),
        **_texts(credential_id="通道凭证"),
        "enabled": Column(Kind.FLAG, "启用"),
        "priority": Column(Kind.NUMBER, "优先级"),
        "cost_ppm": Column(Kind.NUMBER, "成本费率(百万分之)"),
    },
    filters={**_MODE, "channel": _of(Channel), "merchant_id": _ANY, "enabled": _FLAG, "payee": _ANY},
    order=("id",),
)

MERCHANTS = Listing(
    name="merchants",
    permission="merchants.read",
    columns={
        **_texts(id="商户号", name="名称", short_name="简称", late_payment="迟到款策略"),
        "active": Column(Kind.FLAG, "有效"),
        **_times(created_at="创建时间"),
    },
    filters={"active": _FLAG, "name": _ANY},
    quick=((),),
)

AUDIT_RECORDS = Listing(
    name="audit_records",
    permission="audit.read",
    columns={
        "n": Column(Kind.NUMBER, "序号"),
        **_texts(id="审计号", actor_kind="操作者类型", actor_id="操作者", actor_name="操作者姓名", address="地址"),
        **_texts(action="操作", object_id="对象", merchant_id="商户号", request_id="请求号"),
        "before": Column(Kind.JSON, "之前"),
        "after": Column(Kind.JSON, "之后"),
        **_times(at="时间"),
    },
    filters={
        "actor_id": _ANY, "actor_kind": _of(ActorKind), "object_id": _ANY, "merchant_id": _ANY, "action": _ANY,
    },
    order=("n",),
    quick=((), ("actor_id",), ("object_id",), ("merchant_id",)),
)  # fmt: skip

LISTINGS: Mapping[str, Listing] = {
    listing.name: listing
    for listing in (
        ORDERS, ATTEMPTS, REFUNDS, CHANNEL_PAYMENTS, SUSPENSE_ITEMS, NOTICES, DELIVERIES, WEBHOOK_ENDPOINTS, TRANSFERS,
        LEDGER_ACCOUNTS, ACCOUNT_ENTRIES, SETTLEMENTS,
        CHANNEL_ACCOUNTS, MERCHANTS, AUDIT_RECORDS,
    )
}  # fmt: skip
