"""All that the operators' API needs from the house, in one value that bootstrap fills in."""

from dataclasses import dataclass, field

from adapters.inbound.http.address import ClientAddress
from adapters.inbound.http.metrics import Metrics
from application.answer_once import AnswerOnce
from application.authenticate_person import AuthenticatePerson
from application.book_entries import FreezeBalance, ProposeEntry
from application.change_payee import ProposePayee
from application.check_payout import CancelPayout
from application.close_day import ViewClosing
from application.close_statement_day import CloseStatementDay
from application.export_list import ExportList
from application.find_settlement import FindSettlement
from application.find_share import FindShare
from application.keep_accounts import KeepAccounts
from application.keep_applyments import KeepApplyments
from application.keep_codes import KeepCodes
from application.keep_endpoints import KeepEndpoints
from application.keep_invoices import FindInvoices, ProposeInvoiceEnd
from application.keep_keys import KeepKeys
from application.keep_merchants import KeepMerchants
from application.keep_own_access import KeepOwnAccess
from application.keep_products import KeepProducts, ProposePrices
from application.keep_receivers import ProposeReceiver, RemoveReceiver
from application.keep_roles import KeepRoles
from application.keep_service_tokens import KeepServiceTokens
from application.keep_settlement_rules import KeepHolds, KeepSettlementRules
from application.keep_users import KeepUsers
from application.manual_payouts import ExportBankFile, ProposePayoutEnd
from application.ports.lists import Finding, Lists
from application.ports.queries import MerchantQueries, PeopleQueries, ReconciliationQueries
from application.ports.world import Clock
from application.propose import DecideProposal
from application.read_merchant_statement import ReadMerchantStatement
from application.read_notice_again import ReadNoticeAgain
from application.redirect_refund import ProposeRedirection
from application.refund_by_operator import RefundByOperator
from application.report_payments import ReportPayments
from application.resend import Resend
from application.resolve_discrepancy import ProposeRemedy
from application.run_statement_day import RunStatementDay
from application.settle import Settle
from application.settle_held_money import ProposeSettlement
from application.sign_in import SignIn
from application.sign_out import KeepSessions
from application.upload_statement import UploadStatement
from application.view_accounts import ViewAccounts
from application.view_discrepancy import OwnDiscrepancy, ViewDiscrepancy
from application.view_statement_day import ViewStatementDay
from domain.events import API_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminParts:
    """``public_url`` decides whether cookies are for https alone. Add a use case here, and fill it in in
    ``bootstrap.web``."""

    authenticate: AuthenticatePerson
    sign_in: SignIn
    keep_sessions: KeepSessions
    keep_own_access: KeepOwnAccess
    keep_users: KeepUsers
    keep_roles: KeepRoles
    keep_service_tokens: KeepServiceTokens
    decide_proposal: DecideProposal
    keep_codes: KeepCodes
    keep_keys: KeepKeys
    keep_endpoints: KeepEndpoints
    resend: Resend
    lists: Lists
    finding: Finding
    export_list: ExportList
    queries: MerchantQueries
    view_accounts: ViewAccounts
    report_payments: ReportPayments
    keep_merchants: KeepMerchants
    propose_payee: ProposePayee
    keep_products: KeepProducts
    propose_prices: ProposePrices
    keep_accounts: KeepAccounts
    keep_applyments: KeepApplyments
    answer_once: AnswerOnce
    people: PeopleQueries
    reconciliation: ReconciliationQueries
    run_day: RunStatementDay
    close_day: CloseStatementDay
    upload_statement: UploadStatement
    view_day: ViewStatementDay
    statements: ReadMerchantStatement
    propose_remedy: ProposeRemedy
    view_discrepancy: ViewDiscrepancy
    own_discrepancy: OwnDiscrepancy
    view_closing: ViewClosing
    freeze_balance: FreezeBalance
    propose_entry: ProposeEntry
    propose_settlement: ProposeSettlement
    settle: Settle
    find_settlement: FindSettlement
    keep_settlement_rules: KeepSettlementRules
    keep_holds: KeepHolds
    propose_receiver: ProposeReceiver
    remove_receiver: RemoveReceiver
    find_share: FindShare
    find_invoices: FindInvoices
    propose_invoice_end: ProposeInvoiceEnd
    refund_by_operator: RefundByOperator
    propose_redirection: ProposeRedirection
    read_notice_again: ReadNoticeAgain
    export_bank_file: ExportBankFile
    propose_payout_end: ProposePayoutEnd
    cancel_payout: CancelPayout
    clock: Clock
    addresses: ClientAddress
    public_url: str
    version: str = API_VERSION
    metrics: Metrics = field(default_factory=Metrics)
