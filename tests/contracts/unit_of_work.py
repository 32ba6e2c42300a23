"""The whole contract of the database: every repository, two units of work at once, and the read models."""

from tests.contracts.accounts import AccountsContract
from tests.contracts.applyments import ApplymentsContract
from tests.contracts.bills import BillsContract
from tests.contracts.books import LedgerContract
from tests.contracts.collecting import AttemptsContract, OrdersContract, PaymentsContract
from tests.contracts.configuration import CodesContract, ConfigurationContract
from tests.contracts.discrepancies import DiscrepanciesContract
from tests.contracts.fund_bills import FundBillsContract
from tests.contracts.interleaving import InterleavingContract
from tests.contracts.invoicing import InvoicesContract
from tests.contracts.lists import ListsContract
from tests.contracts.merchant_statements import MerchantStatementsContract
from tests.contracts.merchants import MerchantsContract
from tests.contracts.messages import (
    CircuitsContract,
    DeliveriesContract,
    IdempotencyContract,
    NoticesContract,
    OutboxContract,
)
from tests.contracts.pages import PagesContract
from tests.contracts.people import (
    AuditChainContract,
    AuditContract,
    MachinesAndRolesContract,
    ProposalsContract,
    SessionsContract,
    ThrottlesContract,
    UsersContract,
)
from tests.contracts.people_pages import PeoplePagesContract
from tests.contracts.races import ClaimsContract, RacesContract
from tests.contracts.refunding import RefundsContract, SuspenseContract
from tests.contracts.releasing import ReleasesContract
from tests.contracts.reporting import ReportsContract
from tests.contracts.settling import SettlementsContract
from tests.contracts.stored_shares import ReceiversContract, ShareReturnsContract, SharesContract


class UnitOfWorkContract(
    ApplymentsContract,
    CodesContract,
    ConfigurationContract,
    MerchantsContract,
    OrdersContract,
    AttemptsContract,
    PaymentsContract,
    SuspenseContract,
    RefundsContract,
    LedgerContract,
    SettlementsContract,
    AccountsContract,
    ReportsContract,
    ReleasesContract,
    ReceiversContract,
    InvoicesContract,
    SharesContract,
    ShareReturnsContract,
    NoticesContract,
    OutboxContract,
    DeliveriesContract,
    CircuitsContract,
    IdempotencyContract,
    AuditContract,
    AuditChainContract,
    PeoplePagesContract,
    BillsContract,
    FundBillsContract,
    DiscrepanciesContract,
    MerchantStatementsContract,
    UsersContract,
    SessionsContract,
    MachinesAndRolesContract,
    ThrottlesContract,
    ProposalsContract,
    InterleavingContract,
    RacesContract,
    ClaimsContract,
    PagesContract,
    ListsContract,
):
    """A subclass supplies the fixture ``database``: a ``stage.Database`` with our schema and no rows, for each test.

    It needs room for six units of work at a time, and may lengthen ``patience_seconds`` on a slow machine.
    """
