"""Draws docs/lifecycle.md from the transition tables: ``python docs/lifecycle.py``; a unit test holds it to them."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from domain.applyments import APPLYMENT_TRANSITIONS
from domain.attempts import ATTEMPT_TRANSITIONS
from domain.invoices import INVOICE_TRANSITIONS
from domain.notifications import DELIVERY_TRANSITIONS
from domain.orders import ORDER_TRANSITIONS
from domain.payments import SUSPENSE_TRANSITIONS
from domain.proposals import PROPOSAL_TRANSITIONS
from domain.receivers import RECEIVER_TRANSITIONS
from domain.reconciliation import DISCREPANCY_TRANSITIONS
from domain.refunds import REFUND_TRANSITIONS
from domain.settlements import SETTLEMENT_TRANSITIONS
from domain.share_returns import RETURN_TRANSITIONS
from domain.shares import SHARE_TRANSITIONS
from domain.statements import DAY_TRANSITIONS
from domain.users import USER_TRANSITIONS

TABLES: Mapping[str, Mapping[StrEnum, frozenset[StrEnum]]] = {
    "Order 支付订单": ORDER_TRANSITIONS,
    "Attempt 支付流水": ATTEMPT_TRANSITIONS,
    "Refund 退款": REFUND_TRANSITIONS,
    "Receiver 分账接收方": RECEIVER_TRANSITIONS,
    "Share 分账": SHARE_TRANSITIONS,
    "Share return 分账回退": RETURN_TRANSITIONS,
    "Invoice 服务费账单": INVOICE_TRANSITIONS,
    "Suspense item 挂账": SUSPENSE_TRANSITIONS,
    "Settlement 结算": SETTLEMENT_TRANSITIONS,
    "Statement day 对账日": DAY_TRANSITIONS,
    "Discrepancy 差错": DISCREPANCY_TRANSITIONS,
    "Delivery 商户通知": DELIVERY_TRANSITIONS,
    "Proposal 提案": PROPOSAL_TRANSITIONS,
    "User 用户": USER_TRANSITIONS,
    "Application 进件申请": APPLYMENT_TRANSITIONS,
}

HEAD = """# Life cycles

Drawn from the transition tables in `src/domain` by `python docs/lifecycle.py`; do not edit by hand.
A state moves only along these edges; anything else is `illegal_transition`.
"""


def draw() -> str:
    """The whole document."""
    return HEAD + "".join(_diagram(title, table) for title, table in TABLES.items())


def _diagram(title: str, table: Mapping[StrEnum, frozenset[StrEnum]]) -> str:
    first = next(iter(table))
    lines = [f"    [*] --> {first}"]
    lines += [f"    {state} --> {next_}" for state, nexts in table.items() for next_ in sorted(nexts)]
    lines += [f"    {state} --> [*]" for state, nexts in table.items() if not nexts]
    return f"\n## {title}\n\n```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n"


if __name__ == "__main__":
    Path(__file__).with_name("lifecycle.md").write_text(draw(), encoding="utf-8")
