"""The one place where ports meet adapters: what is wired to what, and what a process opens and closes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx
from dependency_injector import containers, providers
from redis.asyncio import Redis

from adapters.outbound.alipay import Alipay
from adapters.outbound.courier.guard import check_url
from adapters.outbound.courier.http_courier import HttpCourier
from adapters.outbound.passwords import Argon2Passwords, PyotpTotp
from adapters.outbound.redis.hints import RedisHints, connect
from adapters.outbound.redis.pace import RedisPace
from adapters.outbound.redis.progress import RedisProgress
from adapters.outbound.roots import FileAuditRoots
from adapters.outbound.secrets.aes_vault import AesVault
from adapters.outbound.sql import SqlClock, SqlDatabase, SqlMerchantQueries, create_engine
from adapters.outbound.sql.account_queries import SqlAccountQueries
from adapters.outbound.sql.finding import SqlFinding
from adapters.outbound.sql.lists import SqlLists
from adapters.outbound.sql.people_queries import SqlPeopleQueries
from adapters.outbound.sql.reconciliation_queries import SqlReconciliationQueries
from adapters.outbound.wechat import WechatPay
from adapters.outbound.workdays import ChineseWorkdays
from application import redirect_refund as redirections
from application.answer_once import AnswerOnce, PurgeIdempotencyKeys
from application.approve_settlement import ApproveSettlement, DeclineSettlement
from application.authenticate import Authenticate
from application.authenticate_person import AuthenticatePerson
from application.book_entries import BOOK, BookEntry, FreezeBalance, KeepBooks, ProposeEntry
from application.chain_audit import ChainAudit, ExportAuditRoot, VerifyAudit
from application.change_payee import CHANGE_PAYEE, ChangePayee, ProposePayee
from application.charge_barcode import ChargeBarcode
from application.check_attempt import CheckAttempt
from application.check_due_attempts import CheckDueAttempts
from application.check_payout import CancelPayout, CheckDuePayouts, CheckPayout
from application.check_refund import CheckDueRefunds, CheckRefund
from application.close_day import CloseDay, ProveDays
from application.close_order import CloseAttempt, CloseOrder
from application.close_statement_day import CloseMatchedDays, CloseStatementDay
from application.confirm_attempt import ConfirmAttempt
from application.confirm_payout import ConfirmPayout
from application.confirm_refund import ConfirmRefund
from application.deliver_notification import DeliverDueNotifications, DeliverNotification
from application.expire_orders import ExpireOrders
from application.fan_out_events import FanOutEvents
from application.fetch_statements import FetchDueStatements, FetchStatement
from application.find_order import FindOrder
from application.find_refund import FindRefund
from application.find_settlement import FindSettlement
from application.find_share import FindShare
from application.freeze_merchant_statements import FreezeMerchantStatements
from application.identify_payer import IdentifyPayer
from application.import_statement import ImportStatement
from application.keep_accounts import CheckAccess, KeepAccounts
from application.keep_applyments import FollowApplyments, KeepApplyments
from application.keep_codes import KeepCodes, OrderByCode
from application.keep_endpoints import AddEndpoint, KeepEndpoints
from application.keep_invoices import SETTLE_INVOICE, FindInvoices, IssueInvoices, ProposeInvoiceEnd, SettleInvoice
from application.keep_keys import KeepKeys
from application.keep_merchants import KeepMerchants
from application.keep_own_access import KeepOwnAccess
from application.keep_products import ADD_VERSION, BIND, OVERRIDE, ChangePrices, KeepProducts, ProposePrices
from application.keep_receivers import (
    ADD_RECEIVER,
    ApproveReceiver,
    DeclineReceiver,
    ProposeReceiver,
    RemoveReceiver,
    TellDueReceivers,
    TellReceiver,
)
from application.keep_roles import KeepRoles
from application.keep_service_tokens import KeepServiceTokens
from application.keep_settlement_rules import KeepHolds, KeepSettlementRules
from application.keep_users import KeepUsers
from application.limit_tries import LimitTries, PurgeTries
from application.manual_payouts import RECORD_PAYOUT, ExportBankFile, ProposePayoutEnd, RecordPayoutEnd
from application.open_merchant import OpenMerchant
from application.open_statement_days import OpenStatementDays
from application.pay_out import PayOut
from application.place_order import PlaceOrder
from application.propose import DecideProposal, ExpireProposals, Propose
from application.purge import PurgeRefusedNotices, PurgeSessions
from application.read_merchant_statement import ReadMerchantStatement
from application.read_notice_again import ReadNoticeAgain
from application.receive_notice import ReceiveNotice
from application.reconcile import Reconcile
from application.refund_by_operator import REFUND, ApproveRefund, DeclineRefund, RefundByOperator
from application.release_payments import ReleaseDuePayments, ReleasePayment, ScheduleReleases
from application.request_refund import RequestRefund
from application.request_share import EndSharing, RequestShare
from application.resend import Resend
from application.resolve_discrepancy import CLOSE_DAY, RESOLVE, ResolveDiscrepancy
from application.return_shares import ReturnShares
from application.reverse_attempt import ReverseAttempt
from application.roll_up_balances import RollUpBalances
from application.route_attempt import RouteAttempt
from application.run_statement_day import RunStatementDay
from application.second_factor import SecondFactor
from application.settle import APPROVE_SETTLEMENT, Settle, SettleDueMerchants
from application.settle_held_money import SETTLE, ProposeSettlement, SettleHeldMoney
from application.sign_in import SignIn
from application.sign_out import KeepSessions
from application.start_attempt import StartAttempt
from application.submit_refund import SubmitRefund
from application.submit_share import CheckDueShares, CheckShare, SubmitShare
from application.view_accounts import ViewAccounts
from application.view_cashier import ViewCashier
from bootstrap.crashes import arm
from bootstrap.ids import SystemIds
from bootstrap.kept_open import channel_client, ended, keep_time
from bootstrap.settings import Settings
from domain.channels import Channel

# Statements: a day is read and matched in one transaction, which may take minutes; few do it at a time.
BULK_POOL, BULK_PATIENCE = 2, 600.0


class Container(containers.DeclarativeContainer):
    """Flat on purpose: read it from top to bottom. Everything under "opened" lives as long as ``opened``'s block."""

    # Opened, and closed with the process.
    settings = providers.Dependency(instance_of=Settings)
    database = providers.Dependency(instance_of=SqlDatabase)
    notice_database = providers.Dependency(instance_of=SqlDatabase)
    bulk_database = providers.Dependency(instance_of=SqlDatabase)
    clock = providers.Dependency(instance_of=SqlClock)
    channel_client = providers.Dependency(instance_of=httpx.AsyncClient)
    redis = providers.Dependency(instance_of=Redis)
    hints = providers.Dependency(instance_of=RedisHints)
    courier = providers.Dependency(instance_of=HttpCourier)

    # Outbound: one adapter for each port.
    ids = providers.Singleton(SystemIds)
    vault = providers.Singleton(AesVault, settings.provided.master_keys, settings.provided.current_master_key)
    unit_of_work = database.provided.unit_of_work
    queries = providers.Singleton(SqlMerchantQueries, database)
    lists = providers.Singleton(SqlLists, database)
    finding = providers.Singleton(SqlFinding, database)
    view_accounts = providers.Factory(ViewAccounts, providers.Singleton(SqlAccountQueries, database))
    alipay = providers.Singleton(Alipay, vault, channel_client, settings.provided.gateways_of.call(Channel.ALIPAY))
    wechat = providers.Singleton(
        WechatPay,
        vault,
        channel_client,
        settings.provided.gateways_of.call(Channel.WECHAT),
        pages=settings.provided.authorize_pages_of.call(Channel.WECHAT),
        hosts=settings.provided.identity_hosts_of.call(Channel.WECHAT),
    )
    pace = providers.Singleton(RedisPace, redis)
    progress = providers.Singleton(RedisProgress, redis)
    channels = providers.Dict({Channel.ALIPAY: alipay, Channel.WECHAT: wechat})
    redirecting = providers.Dict({Channel.WECHAT: wechat})
    onboarding = providers.Dict({Channel.WECHAT: wechat.provided.onboarding})
    rails = providers.Dict({Channel.ALIPAY: alipay.provided.payouts, Channel.WECHAT: wechat.provided.payouts})
    sharing_rails = providers.Dict({Channel.ALIPAY: alipay.provided.sharing, Channel.WECHAT: wechat.provided.sharing})
    ledger_roots = providers.Singleton(
        FileAuditRoots.of_ledger, settings.provided.audit_export, settings.provided.key_pepper
    )
    audit_roots = providers.Singleton(FileAuditRoots, settings.provided.audit_export, settings.provided.key_pepper)
    workdays = providers.Singleton(ChineseWorkdays)
    passwords = providers.Singleton(Argon2Passwords)
    totp = providers.Singleton(PyotpTotp)
    reconciliation_queries = providers.Singleton(SqlReconciliationQueries, database)
    people_queries = providers.Singleton(SqlPeopleQueries, database)
    check_url = providers.Singleton(
        partial,
        check_url,
        allow_private=settings.provided.allow_private_addresses,
        allow_http=settings.provided.allow_private_addresses,
    )

    # Use cases.
    key_pepper = settings.provided.key_pepper
    authenticate = providers.Factory(Authenticate, unit_of_work, clock, key_pepper)
    open_merchant = providers.Factory(OpenMerchant, unit_of_work, channels, vault, clock, ids, key_pepper)
    place_order = providers.Factory(PlaceOrder, unit_of_work, clock, ids, pace)
    find_order = providers.Factory(FindOrder, unit_of_work)
    view_cashier = providers.Factory(ViewCashier, unit_of_work, channels, clock)
    keep_codes = providers.Factory(KeepCodes, unit_of_work, clock, ids)
    order_by_code = providers.Factory(OrderByCode, unit_of_work, place_order, clock, ids)
    identify_payer = providers.Factory(IdentifyPayer, unit_of_work, channels, clock)
    answer_once = providers.Factory(AnswerOnce, unit_of_work, clock)
    confirm_attempt = providers.Factory(ConfirmAttempt, clock, ids)
    check_attempt = providers.Factory(CheckAttempt, unit_of_work, channels, confirm_attempt, clock, hints)
    reverse_attempt = providers.Factory(ReverseAttempt, unit_of_work, channels, confirm_attempt, clock, hints)
    charge_barcode = providers.Factory(ChargeBarcode, unit_of_work, channels, confirm_attempt, clock, hints)
    close_attempt = providers.Factory(CloseAttempt, unit_of_work, channels, check_attempt, reverse_attempt)
    close_order = providers.Factory(CloseOrder, unit_of_work, close_attempt, clock, hints)
    route_attempt = providers.Factory(RouteAttempt, unit_of_work, channels, clock)
    start_attempt = providers.Factory(
        StartAttempt,
        unit_of_work,
        channels,
        close_attempt,
        charge_barcode,
        route_attempt,
        clock,
        ids,
        settings.provided.notice_url,
    )
    confirm_refund = providers.Factory(ConfirmRefund, clock, ids)
    request_refund = providers.Factory(RequestRefund, unit_of_work, clock, ids)
    return_shares = providers.Factory(ReturnShares, unit_of_work, sharing_rails, clock)
    submit_refund = providers.Factory(
        SubmitRefund, unit_of_work, channels, confirm_refund, clock, hints, settings.provided.notice_url, return_shares
    )
    redirect_refund = providers.Factory(redirections.RedirectRefund, submit_refund, redirecting, vault, clock)
    check_refund = providers.Factory(CheckRefund, unit_of_work, submit_refund, redirect_refund)
    confirm_payout = providers.Factory(ConfirmPayout, clock)
    pay_out = providers.Factory(
        PayOut, unit_of_work, rails, confirm_payout, vault, clock, hints, settings.provided.notice_url
    )
    check_payout = providers.Factory(CheckPayout, unit_of_work, pay_out)
    cancel_payout = providers.Factory(CancelPayout, unit_of_work, check_payout, clock, ids)
    export_bank_file = providers.Factory(ExportBankFile, unit_of_work, vault, clock, ids)
    request_share = providers.Factory(RequestShare, unit_of_work, clock, ids)
    end_sharing = providers.Factory(EndSharing, unit_of_work, clock)
    submit_share = providers.Factory(SubmitShare, unit_of_work, sharing_rails, clock, hints)
    check_share = providers.Factory(CheckShare, unit_of_work, submit_share)
    find_share = providers.Factory(FindShare, unit_of_work)
    find_invoices = providers.Factory(FindInvoices, unit_of_work)
    tell_receiver = providers.Factory(TellReceiver, unit_of_work, sharing_rails, clock)
    remove_receiver = providers.Factory(RemoveReceiver, unit_of_work, clock, ids)
    find_refund = providers.Factory(FindRefund, unit_of_work)
    receive_notice = providers.Factory(
        ReceiveNotice,
        notice_database.provided.unit_of_work,
        channels,
        confirm_attempt,
        confirm_refund,
        confirm_payout,
        clock,
        hints,
        ids,
    )
    add_endpoint = providers.Factory(AddEndpoint, unit_of_work, vault, clock, ids, check_url)
    keep_keys = providers.Factory(KeepKeys, unit_of_work, clock, ids, key_pepper)
    keep_endpoints = providers.Factory(KeepEndpoints, unit_of_work, vault, clock, ids, hints)
    resend = providers.Factory(Resend, unit_of_work, clock, ids, hints)

    # People: who they are, what they may do, and what two of them do together.
    totp_required = settings.provided.totp_required
    limit_tries = providers.Factory(LimitTries, unit_of_work, clock)
    second_factor = providers.Factory(SecondFactor, totp, vault, ids, key_pepper)
    door = (unit_of_work, limit_tries, passwords, second_factor, clock, ids, key_pepper, totp_required)
    sign_in = providers.Factory(SignIn, *door)
    authenticate_person = providers.Factory(AuthenticatePerson, unit_of_work, clock, key_pepper, totp_required)
    keep_sessions = providers.Factory(KeepSessions, *door)
    verify_audit = providers.Factory(VerifyAudit, unit_of_work, audit_roots)
    keep_own_access = providers.Factory(KeepOwnAccess, unit_of_work, limit_tries, passwords, second_factor, clock, ids)
    keep_users = providers.Factory(KeepUsers, unit_of_work, passwords, clock, ids)
    keep_roles = providers.Factory(KeepRoles, unit_of_work, clock, ids)
    keep_service_tokens = providers.Factory(KeepServiceTokens, unit_of_work, clock, ids, key_pepper)
    # What executes each action that can be proposed, by its name (application/propose.py).
    close_statement_day = providers.Factory(CloseStatementDay, unit_of_work, clock, ids)
    resolve_discrepancy = providers.Factory(
        ResolveDiscrepancy, confirm_attempt, confirm_refund, close_statement_day, clock, ids
    )
    change_payee = providers.Factory(ChangePayee, clock, ids)
    change_prices = providers.Factory(ChangePrices, clock, ids)
    settle_held_money = providers.Factory(SettleHeldMoney, clock, ids)
    keep_books = providers.Factory(KeepBooks, clock, ids)
    book_entry = providers.Factory(BookEntry, keep_books)
    freeze_balance = providers.Factory(FreezeBalance, unit_of_work, keep_books)
    approve_refund = providers.Factory(ApproveRefund, clock)
    executors = providers.Dict(
        {
            RESOLVE: resolve_discrepancy,
            CLOSE_DAY: resolve_discrepancy.provided.close_day,
            SETTLE: settle_held_money,
            REFUND: approve_refund,
            redirections.REDIRECT: providers.Factory(redirections.ApproveRedirection, clock, ids),
            RECORD_PAYOUT: providers.Factory(RecordPayoutEnd, confirm_payout),
            BOOK: book_entry,
            APPROVE_SETTLEMENT: providers.Factory(ApproveSettlement, clock, ids),
            ADD_RECEIVER: providers.Factory(ApproveReceiver, clock),
            SETTLE_INVOICE: providers.Factory(SettleInvoice, clock),
            CHANGE_PAYEE: change_payee,
            ADD_VERSION: change_prices.provided.add_version,
            BIND: change_prices.provided.bind,
            OVERRIDE: change_prices.provided.override,
        }
    )
    propose = providers.Factory(Propose, unit_of_work, executors, clock, ids)
    propose_payout_end = providers.Factory(ProposePayoutEnd, unit_of_work, propose)
    propose_entry = providers.Factory(ProposeEntry, unit_of_work, propose)
    propose_invoice_end = providers.Factory(ProposeInvoiceEnd, unit_of_work, propose)
    propose_receiver = providers.Factory(ProposeReceiver, unit_of_work, propose, clock, ids)
    propose_settlement = providers.Factory(ProposeSettlement, unit_of_work, propose)
    read_notice_again = providers.Factory(ReadNoticeAgain, unit_of_work, receive_notice, clock, ids)
    refund_by_operator = providers.Factory(
        RefundByOperator, unit_of_work, request_refund, submit_refund, propose, clock, ids
    )
    propose_redirection = providers.Factory(
        redirections.ProposeRedirection, unit_of_work, propose, redirecting, vault, clock
    )
    decliners = providers.Dict(
        {
            REFUND: providers.Factory(DeclineRefund, confirm_refund),
            redirections.REDIRECT: providers.Factory(redirections.DeclineRedirection, clock),
            APPROVE_SETTLEMENT: providers.Factory(DeclineSettlement, clock),
            ADD_RECEIVER: providers.Factory(DeclineReceiver, clock),
        }
    )
    release_payment = providers.Factory(ReleasePayment, unit_of_work, workdays, clock)
    find_settlement = providers.Factory(FindSettlement, unit_of_work)
    settle = providers.Factory(Settle, unit_of_work, propose, clock, ids)
    keep_settlement_rules = providers.Factory(KeepSettlementRules, unit_of_work, rails, workdays, clock, ids)
    keep_holds = providers.Factory(KeepHolds, unit_of_work, clock, ids)
    run_statement_day = providers.Factory(RunStatementDay, unit_of_work, clock, ids, hints)
    # Whole days at once: a pool of their own, so that nobody waits behind them.
    bulk_unit_of_work = bulk_database.provided.unit_of_work
    close_day = providers.Factory(CloseDay, bulk_unit_of_work, ledger_roots, clock)
    prove_days = providers.Factory(ProveDays, bulk_unit_of_work, ledger_roots)
    reconcile = providers.Factory(Reconcile, bulk_unit_of_work, clock, ids, progress, settings.provided.hold_days)
    import_statement = providers.Factory(ImportStatement, bulk_unit_of_work, channels, clock, ids, progress)
    fetch_statement = providers.Factory(FetchStatement, unit_of_work, channels, import_statement, reconcile, clock)
    read_merchant_statement = providers.Factory(ReadMerchantStatement, bulk_unit_of_work, clock)
    keep_merchants = providers.Factory(KeepMerchants, unit_of_work, vault, clock, ids)
    propose_payee = providers.Factory(ProposePayee, unit_of_work, propose, vault)
    keep_products = providers.Factory(KeepProducts, unit_of_work, clock, ids)
    propose_prices = providers.Factory(ProposePrices, unit_of_work, propose, clock)
    follow_applyments = providers.Factory(FollowApplyments, unit_of_work, onboarding, vault, clock, ids)
    keep_applyments = providers.Factory(KeepApplyments, unit_of_work, onboarding, follow_applyments, vault, clock, ids)
    check_access = providers.Factory(CheckAccess, channels, ids)
    keep_accounts = providers.Factory(KeepAccounts, unit_of_work, channels, vault, clock, ids, check_access)
    decide_proposal = providers.Factory(DecideProposal, unit_of_work, executors, clock, ids, decliners)

    # Sweeps, by the names of the table of jobs.
    deliver_notification = providers.Factory(DeliverNotification, unit_of_work, courier, vault, clock)
    sweeps = providers.Dict(
        fan_out_events=providers.Factory(FanOutEvents, unit_of_work, clock, ids, hints),
        deliver_notifications=providers.Factory(DeliverDueNotifications, unit_of_work, deliver_notification, clock),
        check_attempts=providers.Factory(CheckDueAttempts, unit_of_work, check_attempt, reverse_attempt, clock),
        issue_invoices=providers.Factory(IssueInvoices, unit_of_work, clock, ids),
        check_shares=providers.Factory(CheckDueShares, unit_of_work, check_share, clock),
        tell_receivers=providers.Factory(TellDueReceivers, unit_of_work, tell_receiver, clock),
        check_refunds=providers.Factory(CheckDueRefunds, unit_of_work, check_refund, clock),
        check_payouts=providers.Factory(CheckDuePayouts, unit_of_work, check_payout, clock),
        follow_applyments=follow_applyments,
        expire_orders=providers.Factory(ExpireOrders, unit_of_work, close_order, clock),
        purge_notices=providers.Factory(PurgeRefusedNotices, unit_of_work, clock),
        purge_idempotency=providers.Factory(PurgeIdempotencyKeys, unit_of_work, clock),
        roll_up_balances=providers.Factory(RollUpBalances, unit_of_work),
        close_days=close_day.provided.sweep,
        chain_audit=providers.Factory(ChainAudit, unit_of_work),
        export_audit_root=providers.Factory(ExportAuditRoot, unit_of_work, audit_roots, clock),
        purge_tries=providers.Factory(PurgeTries, unit_of_work, clock),
        purge_sessions=providers.Factory(PurgeSessions, unit_of_work, clock),
        expire_proposals=providers.Factory(ExpireProposals, unit_of_work, clock, ids, decliners),
        open_statement_days=providers.Factory(OpenStatementDays, unit_of_work, clock),
        fetch_statements=providers.Factory(FetchDueStatements, unit_of_work, fetch_statement, clock),
        freeze_merchant_statements=providers.Factory(FreezeMerchantStatements, bulk_unit_of_work, clock),
        schedule_releases=providers.Factory(ScheduleReleases, bulk_unit_of_work, workdays, clock),
        release_payments=providers.Factory(ReleaseDuePayments, unit_of_work, release_payment, clock),
        settle_merchants=providers.Factory(SettleDueMerchants, unit_of_work, settle, workdays, clock),
        close_matched_days=providers.Factory(CloseMatchedDays, unit_of_work, close_statement_day),
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Container]:
    """A container with its connections, bound to the running loop. Raises when the database cannot be reached."""
    arm(settings.crash)
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.database_url, pool_size=settings.pool_size, role=settings.database_role)
        stack.push_async_callback(engine.dispose)
        notices = create_engine(settings.database_url, pool_size=settings.notice_pool_size, role=settings.database_role)
        stack.push_async_callback(notices.dispose)
        bulk = create_engine(
            settings.database_url, pool_size=BULK_POOL, role=settings.database_role, patience_seconds=BULK_PATIENCE
        )
        stack.push_async_callback(bulk.dispose)
        clock = SqlClock(engine)
        await clock.refresh()
        stack.push_async_callback(ended, asyncio.create_task(keep_time(clock)))
        redis = connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        hints = RedisHints(redis)
        stack.push_async_callback(hints.aclose)
        private = settings.allow_private_addresses
        yield Container(
            settings=settings,
            database=SqlDatabase(engine),
            notice_database=SqlDatabase(notices),
            bulk_database=SqlDatabase(bulk),
            clock=clock,
            channel_client=await stack.enter_async_context(channel_client()),
            redis=redis,
            hints=hints,
            courier=await stack.enter_async_context(HttpCourier.open(allow_private=private, allow_http=private)),
        )
