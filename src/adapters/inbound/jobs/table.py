"""The table of jobs: what runs in the background, and how often it is looked for at the latest."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

# One sweep over what is due: a use case. Returns how many rows it took; 0 when nothing (more) is due.
Run = Callable[[], Awaitable[int]]
# Opens what the use cases of a process need, inside its event loop, and gives their sweeps by the jobs' names.
OpenRuns = Callable[[], AbstractAsyncContextManager[Mapping[str, Run]]]


@dataclass(frozen=True, slots=True)
class Job:
    """``every``: seconds between two sweeps at the latest; a hint starts one at once.

    ``width``: how many sweeps may be under way at a time in one process. More than one for jobs that wait for the
    outside world, so that whoever is slow there delays nobody else. All jobs claim rows, so any number of processes
    may run them. ``within``: seconds that one sweep may take; beyond a minute only with a width of more than one, so
    that no task waits for its end.
    """

    name: str
    every: float
    width: int = 1
    within: float = 45.0


JOBS = (
    Job("fan_out_events", every=1),
    Job("deliver_notifications", every=1, width=256),
    Job("check_attempts", every=1, width=16),
    Job("check_refunds", every=5, width=4),
    Job("check_payouts", every=5, width=2),
    Job("check_shares", every=5, width=4),
    Job("issue_invoices", every=3600),
    Job("tell_receivers", every=15),
    Job("expire_orders", every=5, width=4),
    Job("follow_applyments", every=30),
    Job("purge_idempotency", every=3600),
    Job("purge_notices", every=3600),
    Job("roll_up_balances", every=10),
    Job("close_days", every=300, width=2, within=600),
    Job("chain_audit", every=30),
    Job("export_audit_root", every=3600),
    Job("purge_tries", every=3600),
    Job("purge_sessions", every=3600),
    Job("expire_proposals", every=60),
    Job("open_statement_days", every=300),
    Job("fetch_statements", every=60, width=2, within=1_200),
    Job("close_matched_days", every=300),
    Job("schedule_releases", every=60, width=2, within=600),
    Job("release_payments", every=15, width=4),
    Job("settle_merchants", every=15),
    Job("freeze_merchant_statements", every=600),
)
