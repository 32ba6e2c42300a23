"""What the tests of refunds ask for, and how they read the books."""

from application.open_merchant import OpenedMerchant
from domain.channels import Method
from domain.ledger import PLATFORM, AccountKind
from domain.money import Money
from domain.orders import Order
from domain.refunds import RefundWish
from tests.fakes.house import House

ALIPAY, WECHAT = Method.ALIPAY_QR, Method.WECHAT_NATIVE
MP, MR, FI, CR, MD = (
    AccountKind.MERCHANT_PENDING,
    AccountKind.MERCHANT_REFUNDING,
    AccountKind.FEE_INCOME,
    AccountKind.CHANNEL_RECEIVABLE,
    AccountKind.MERCHANT_DEBT,
)


def wish(order: Order, amount: int = 4_000, no: str = "R-1", reason: str = "") -> RefundWish:
    return RefundWish(merchant_refund_no=no, order_id=order.id, amount=Money(amount), reason=reason)


async def books(house: House, merchant: OpenedMerchant, order: Order) -> tuple[int, int, int, int]:
    """MP, MR, FI, and what the channel holds."""
    (payment, *_) = await house.payments(order)
    owner = merchant.merchant.id
    return (
        await house.balance(MP, owner),
        await house.balance(MR, owner),
        await house.balance(FI, PLATFORM),
        -await house.balance(CR, payment.account_id),
    )


async def types(house: House, object_id: str) -> list[str]:
    """The types of an object's announced events."""
    rows = [row.event for row in house.database.tables.events.committed.values()]
    return [event.type for event in rows if event.object_id == object_id and event.announced]
