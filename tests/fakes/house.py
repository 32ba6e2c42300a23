"""The use cases wired on fakes, with one merchant that collects: what tests and simulations play with."""

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Self

from application.answer_once import AnswerOnce
from application.authenticate import Authenticate
from application.charge_barcode import ChargeBarcode
from application.check_attempt import CheckAttempt
from application.check_due_attempts import CheckDueAttempts
from application.check_payout import CancelPayout, CheckDuePayouts, CheckPayout
from application.check_refund import CheckDueRefunds, CheckRefund
from application.close_order import CloseAttempt, CloseOrder
from application.confirm_attempt import ConfirmAttempt
from application.confirm_payout import ConfirmPayout
from application.confirm_refund import ConfirmRefund
from application.deliver_notification import DeliverDueNotifications, DeliverNotification
from application.expire_orders import ExpireOrders
from application.fan_out_events import FanOutEvents
from application.find_order import FindOrder
from application.find_refund import FindRefund
from application.find_share import FindShare
from application.identify_payer import IdentifyPayer
from application.keep_applyments import FollowApplyments
from application.keep_codes import KeepCodes, OrderByCode
from application.keep_endpoints import KeepEndpoints
from application.keep_keys import KeepKeys
from application.keep_receivers import TellDueReceivers, TellReceiver
from application.manual_payouts import ExportBankFile
from application.open_merchant import NewAccount, OpenedMerchant, OpenMerchant
from application.pay_out import PayOut
from application.place_order import PlaceOrder
from application.ports.channels import Redirecting, SharingRails
from application.ports.world import Clock
from application.receive_notice import NoticeHandled, ReceiveNotice
from application.redirect_refund import RedirectRefund
from application.request_refund import RequestRefund
from application.request_share import EndSharing, RequestShare
from application.resend import Resend
from application.return_shares import ReturnShares
from application.reverse_attempt import ReverseAttempt
from application.roll_up_balances import RollUpBalances
from application.route_attempt import RouteAttempt
from application.start_attempt import StartAttempt
from application.submit_refund import SubmitRefund
from application.submit_share import CheckDueShares, CheckShare, SubmitShare
from application.view_cashier import ViewCashier
from domain.attempts import Attempt
from domain.channels import Channel, Method, Mode
from domain.ledger import Account, AccountKind, Transfer
from domain.merchants import Caller, LatePayment
from domain.money import FeePlan, Money, Rate
from domain.orders import Order, OrderRequest
from domain.payments import ChannelPayment
from domain.refunds import Refund, RefundWish
from tests.fakes.channel import FakeChannel
from tests.fakes.clock import FakeClock
from tests.fakes.courier import FakeCourier
from tests.fakes.database import FakeDatabase
from tests.fakes.hints import FakeHints
from tests.fakes.ids import FakeIds
from tests.fakes.onboarding import FakeOnboarding
from tests.fakes.pace import FakePace
from tests.fakes.vault import FakeVault

PEPPER = b"a pepper of thirty-two characters"
SHOP = "https://shop.example/notifications"
FEE_PLAN = FeePlan(Rate(6_000))


@dataclass
class House:
    """Everything between the API and the channels, in one process and in memory."""

    clock: Clock = field(default_factory=FakeClock)
    database: FakeDatabase = field(default_factory=FakeDatabase)
    hints: FakeHints = field(default_factory=FakeHints)
    vault: FakeVault = field(default_factory=FakeVault)
    seed: int = 0

    def __post_init__(self) -> None:
        clock, inside = self.clock, self.database.open_here
        if isinstance(self.database, FakeDatabase):
            self.database.tell_time_by(clock)
        self.ids = FakeIds(self.seed, clock)
        self.alipay = FakeChannel(Channel.ALIPAY, clock, open_here=inside)
        self.wechat = FakeChannel(Channel.WECHAT, clock, open_here=inside)
        self.channels = {Channel.ALIPAY: self.alipay, Channel.WECHAT: self.wechat}
        self.courier = FakeCourier(inside)
        self.pace = FakePace(clock)
        self._wire()

    def another_process(self) -> Self:
        """The same database and the same world, seen from another process: what use cases keep in memory is its own."""
        other = copy(self)
        other._wire()
        return other

    def _wire(self) -> None:
        unit_of_work, clock, hints, vault = self.database.unit_of_work, self.clock, self.hints, self.vault
        ids, channels = self.ids, self.channels
        self.authenticate = Authenticate(unit_of_work, clock, PEPPER)
        self.open_merchant = OpenMerchant(unit_of_work, channels, vault, clock, ids, PEPPER)
        self.resend = Resend(unit_of_work, clock, ids, hints)
        self.keep_keys = KeepKeys(unit_of_work, clock, ids, PEPPER)
        self.place_order = PlaceOrder(unit_of_work, clock, ids, self.pace)
        self.find_order = FindOrder(unit_of_work)
        self.view_cashier = ViewCashier(unit_of_work, channels, clock)
        self.keep_codes = KeepCodes(unit_of_work, clock, ids)
        self.order_by_code = OrderByCode(unit_of_work, self.place_order, clock, ids)
        self.identify_payer = IdentifyPayer(unit_of_work, channels, clock)
        self.answer_once = AnswerOnce(unit_of_work, clock)
        self.confirm = ConfirmAttempt(clock, ids)
        self.check_attempt = CheckAttempt(unit_of_work, channels, self.confirm, clock, hints)
        self.charge_barcode = ChargeBarcode(unit_of_work, channels, self.confirm, clock, hints)
        self.reverse_attempt = ReverseAttempt(unit_of_work, channels, self.confirm, clock, hints)
        self.check_due_attempts = CheckDueAttempts(unit_of_work, self.check_attempt, self.reverse_attempt, clock)
        self.close_attempt = CloseAttempt(unit_of_work, channels, self.check_attempt, self.reverse_attempt)
        self.close_order = CloseOrder(unit_of_work, self.close_attempt, clock, hints)
        self.expire_orders = ExpireOrders(unit_of_work, self.close_order, clock)
        self.start_attempt = StartAttempt(
            unit_of_work,
            channels,
            self.close_attempt,
            self.charge_barcode,
            RouteAttempt(unit_of_work, channels, clock),
            clock,
            ids,
            "https://pay.example/notices",
        )
        self.confirm_refund = ConfirmRefund(clock, ids)
        self.request_refund = RequestRefund(unit_of_work, clock, ids)
        sharing_rails: SharingRails = {channel: fake.sharing for channel, fake in channels.items()}
        self.return_shares = ReturnShares(unit_of_work, sharing_rails, clock)
        self.submit_refund = SubmitRefund(
            unit_of_work,
            channels,
            self.confirm_refund,
            clock,
            hints,
            "https://pay.example/notices",
            self.return_shares,
        )
        self.redirecting: dict[Channel, Redirecting] = {Channel.WECHAT: self.wechat}
        self.redirect_refund = RedirectRefund(self.submit_refund, self.redirecting, self.vault, clock)
        self.check_refund = CheckRefund(unit_of_work, self.submit_refund, self.redirect_refund)
        self.request_share = RequestShare(unit_of_work, clock, ids)
        self.end_sharing = EndSharing(unit_of_work, clock)
        self.submit_share = SubmitShare(unit_of_work, sharing_rails, clock, hints)
        self.check_due_shares = CheckDueShares(unit_of_work, CheckShare(unit_of_work, self.submit_share), clock)
        self.find_share = FindShare(unit_of_work)
        self.tell_due_receivers = TellDueReceivers(
            unit_of_work, TellReceiver(unit_of_work, sharing_rails, clock), clock
        )
        self.onboarding = FakeOnboarding(self.database.open_here)
        self.follow_applyments = FollowApplyments(unit_of_work, {Channel.WECHAT: self.onboarding}, vault, clock, ids)
        self.check_due_refunds = CheckDueRefunds(unit_of_work, self.check_refund, clock)
        self.find_refund = FindRefund(unit_of_work)
        rails = self.rails = {channel: fake.payouts for channel, fake in channels.items()}
        self.confirm_payout = ConfirmPayout(clock)
        self.pay_out = PayOut(
            unit_of_work, rails, self.confirm_payout, vault, clock, hints, "https://pay.example/notices"
        )
        self.check_payout = CheckPayout(unit_of_work, self.pay_out)
        self.check_due_payouts = CheckDuePayouts(unit_of_work, self.check_payout, clock)
        self.cancel_payout = CancelPayout(unit_of_work, self.check_payout, clock, ids)
        self.export_bank_file = ExportBankFile(unit_of_work, vault, clock, ids)
        self.receive_notice = ReceiveNotice(
            unit_of_work, channels, self.confirm, self.confirm_refund, self.confirm_payout, clock, hints, ids
        )
        self.keep_endpoints = KeepEndpoints(unit_of_work, vault, clock, ids, hints)
        self.roll_up = RollUpBalances(unit_of_work)
        self.fan_out = FanOutEvents(unit_of_work, clock, ids, hints)
        self.deliver = DeliverDueNotifications(
            unit_of_work, DeliverNotification(unit_of_work, self.courier, vault, clock), clock
        )

    async def merchant(
        self,
        *,
        of_platform: bool = True,
        late_payment: LatePayment = LatePayment.REFUND,
        mode: Mode = Mode.TEST,
        methods: Collection[Method] = (Method.ALIPAY_QR, Method.WECHAT_NATIVE),
        fee_plan: FeePlan = FEE_PLAN,
    ) -> OpenedMerchant:
        """A merchant with an account at each channel: the platform's (collect) or its own (direct)."""
        accounts = [
            NewAccount(
                channel=channel,
                app_id=f"app-{channel}",
                payee=f"payee-{channel}",
                methods=frozenset(method for method in methods if method.channel is channel),
                public={},
                secrets={"key": "secret"},
                of_platform=of_platform,
                cost_rate=Rate(3_800),
            )
            for channel in Channel
        ]
        return await self.open_merchant("Café", fee_plan, mode, accounts=accounts, late_payment=late_payment)

    async def order(
        self, merchant: OpenedMerchant, no: str = "A-1", amount: int = 10_000, expires_in: int = 1_800
    ) -> Order:
        return await self.place_order(caller(merchant), request(no, amount, expires_in))

    async def notice(self, channel: FakeChannel, attempt: Attempt) -> NoticeHandled:
        """The channel sends its notice about this attempt, as often as this is called."""
        headers, body = channel.notice(attempt.number)
        return await self.receive_notice(attempt.method.channel, attempt.account_id, headers, body)

    async def paid(self, merchant: OpenedMerchant, method: Method = Method.ALIPAY_QR, no: str = "A-1") -> Order:
        """The main job up to the books: placed, started, paid, noticed."""
        order = await self.order(merchant, no)
        attempt = await self.start_attempt(caller(merchant), order.id, method)
        channel = self.channels[method.channel]
        channel.pay(attempt.number)
        await self.notice(channel, attempt)
        return await self.now(order)

    async def refund(self, merchant: OpenedMerchant, order: Order, amount: int = 4_000, no: str = "R-1") -> Refund:
        """Requested and submitted, as the API does it."""
        wish = RefundWish(merchant_refund_no=no, order_id=order.id, amount=Money(amount))
        refund = await self.request_refund(caller(merchant), wish)
        return await self.submit_refund(refund.id)

    async def refund_notice(self, channel: FakeChannel, refund_number: str, account_id: str) -> NoticeHandled:
        """The channel sends its notice about this refund, as often as this is called."""
        headers, body = channel.refund_notice(refund_number)
        which = next(kind for kind, fake in self.channels.items() if fake is channel)
        return await self.receive_notice(which, account_id, headers, body)

    async def refunds(self, order: Order) -> Sequence[Refund]:
        async with self.database.unit_of_work() as uow:
            return await uow.refunds.of_order(order.id)

    async def balance(self, kind: AccountKind, owner: str) -> int:
        """Credits minus debits of one account in test mode."""
        fund = "BASIC" if kind is AccountKind.CHANNEL_RECEIVABLE else ""
        async with self.database.unit_of_work() as uow:
            return await uow.ledger.balance(Account(kind, owner, Mode.TEST, "CNY", fund))

    async def now(self, order: Order) -> Order:
        """The order as it stands."""
        async with self.database.unit_of_work() as uow:
            return await uow.orders.get(order.id)

    async def attempts(self, order: Order) -> Sequence[Attempt]:
        async with self.database.unit_of_work() as uow:
            return await uow.attempts.of_order(order.id)

    async def payments(self, order: Order) -> Sequence[ChannelPayment]:
        async with self.database.unit_of_work() as uow:
            return await uow.payments.of_order(order.id)

    async def transfers(self, about: str) -> Sequence[Transfer]:
        async with self.database.unit_of_work() as uow:
            return await uow.ledger.about(about)


def caller(merchant: OpenedMerchant) -> Caller:
    return Caller(merchant.merchant.id, merchant.endpoint.mode)


def request(no: str = "A-1", amount: int = 10_000, expires_in: int = 1_800) -> OrderRequest:
    return OrderRequest(
        merchant_order_no=no, amount=Money(amount), subject="Coffee", expires_in=expires_in, notify_url=SHOP
    )
