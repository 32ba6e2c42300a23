"""All that the merchant API needs from the house, in one value that bootstrap fills in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from adapters.inbound.http.address import ClientAddress
from adapters.inbound.http.metrics import Metrics
from application.answer_once import AnswerOnce
from application.authenticate import Authenticate
from application.close_order import CloseOrder
from application.find_order import FindOrder
from application.find_refund import FindRefund
from application.find_settlement import FindSettlement
from application.find_share import FindShare
from application.identify_payer import IdentifyPayer
from application.keep_codes import KeepCodes
from application.keep_endpoints import AddEndpoint, KeepEndpoints
from application.keep_invoices import FindInvoices
from application.keep_keys import KeepKeys
from application.place_order import PlaceOrder
from application.ports.queries import MerchantQueries
from application.ports.world import Clock
from application.read_merchant_statement import ReadMerchantStatement
from application.receive_notice import ReceiveNotice
from application.report_payments import ReportPayments
from application.request_refund import RequestRefund
from application.request_share import EndSharing, RequestShare
from application.resend import Resend
from application.settle import Settle
from application.start_attempt import StartAttempt
from application.submit_refund import SubmitRefund
from application.submit_share import SubmitShare
from application.view_accounts import ViewAccounts
from domain.events import API_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """``public_url`` is where payers reach us, without a slash at its end. ``check_url`` raises InvalidRequest for a
    notify_url that we would never connect to. ``ready`` says what works now, as (name, ok, detail, required) with
    required false for what is only a warning; it does not raise. ``addresses`` tells where a call came from.
    ``version`` is the API's, shown in its documents."""

    authenticate: Authenticate
    place_order: PlaceOrder
    find_order: FindOrder
    request_refund: RequestRefund
    submit_refund: SubmitRefund
    find_refund: FindRefund
    settle: Settle
    find_settlement: FindSettlement
    request_share: RequestShare
    end_sharing: EndSharing
    submit_share: SubmitShare
    find_share: FindShare
    find_invoices: FindInvoices
    start_attempt: StartAttempt
    close_order: CloseOrder
    identify_payer: IdentifyPayer
    keep_codes: KeepCodes
    answer_once: AnswerOnce
    add_endpoint: AddEndpoint
    keep_endpoints: KeepEndpoints
    keep_keys: KeepKeys
    resend: Resend
    statements: ReadMerchantStatement
    receive_notice: ReceiveNotice
    queries: MerchantQueries
    view_accounts: ViewAccounts
    report_payments: ReportPayments
    clock: Clock
    public_url: str
    check_url: Callable[[str], None]
    ready: Callable[[], Awaitable[Sequence[tuple[str, bool, str, bool]]]]
    addresses: ClientAddress = field(default_factory=ClientAddress)
    version: str = API_VERSION
    metrics: Metrics = field(default_factory=Metrics)
