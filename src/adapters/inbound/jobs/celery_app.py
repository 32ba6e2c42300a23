"""Celery as the clock and the spreader of work: beat says when to look, a worker looks. What is due, tables say."""

import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from billiard.util import get_logger
from celery import Celery, signals

from adapters.inbound.jobs.portal import Listen, Portal
from adapters.inbound.jobs.table import JOBS, Job, OpenRuns

# A task waits for two turns at most (one under way, then its own), each TURN and the job's ``within`` at most.
TIME_LIMIT = 180
VISIBILITY = 300  # seconds until Redis hands a message of a dead worker to another; longer than any task
# A message of a 1 s job is worth nothing after a second. But its end is an absolute time by the sender's clock, so that
# a machine whose clock is a second ahead would throw all of them away.
EXPIRES_AT_LEAST = 10
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def build_celery(
    broker_url: str, *, open: OpenRuns | None = None, listen: Listen | None = None, jobs: Sequence[Job] = JOBS
) -> Celery:
    """The app of worker and beat alike. Beat runs nothing and needs no ``open``.

    open: what the jobs need, in each worker process. listen: an endless iterator of job names that have work now.
    """
    app = Celery("pitaya", broker=broker_url, set_as_current=False)
    app.conf.update(_settings(jobs))
    portal = Portal(jobs, open, listen) if open is not None else None
    for job in jobs:
        app.task(_task(portal, job.name), name=_task_name(job), shared=False)
    # Celery leaves logging alone when somebody else says that it is set up.
    signals.setup_logging.connect(_leave_logging, weak=False)
    if portal is not None:
        _live_with_processes(portal)
    return app


def run_worker(app: Celery, *, processes: int = 2) -> int:
    """Runs a worker until it is told to stop (SIGTERM: warm); its exit status."""
    worker = app.Worker(
        pool="prefork",
        concurrency=processes,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def run_beat(app: Celery) -> None:
    """Runs a scheduler until it is told to stop. Any number may run: all jobs only claim what is due."""
    signals.beat_init.connect(_end_when_told, weak=False)
    app.Beat(quiet=True).run()


def _settings(jobs: Sequence[Job]) -> dict[str, Any]:
    return {
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_time_limit": TIME_LIMIT,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": "pitaya",
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_enable_remote_control": False,
        # A sweep is right whatever becomes of the message that asked for it.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "socket_connect_timeout": 5,
            "health_check_interval": 30,
        },
        "timezone": "UTC",
        "enable_utc": True,
        "beat_scheduler": "celery.beat:Scheduler",  # in memory: nothing is lost by beginning anew, no file left behind
        "beat_schedule": {
            job.name: {
                "task": _task_name(job),
                "schedule": job.every,
                "options": {"expires": max(job.every, EXPIRES_AT_LEAST)},
                "last_run_at": LONG_AGO,  # so that each job is due when beat starts, however often it is restarted
            }
            for job in jobs
        },
    }


def _task_name(job: Job) -> str:
    return f"pitaya.{job.name}"


def _task(portal: Portal | None, name: str) -> Any:
    def task() -> None:
        assert portal is not None, "this process was built to schedule, not to work"
        portal.run(name)

    return task


def _live_with_processes(portal: Portal) -> None:
    """Starts the portal in each process of the pool, after the fork, and stops it with it."""

    def start(**_: object) -> None:
        portal.start()

    def stop(**_: object) -> None:
        portal.stop()

    signals.worker_process_init.connect(start, weak=False)
    signals.worker_process_shutdown.connect(stop, weak=False)
    signals.worker_shutdown.connect(stop, weak=False)  # pools without processes; does nothing where it never started


def _end_when_told(**_: object) -> None:
    """Celery's own handler raises SystemExit, which is lost where Python ignores exceptions: in a destructor, in a weak
    reference's callback. Then beat went on for ever. It holds nothing that would have to be put away."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def _leave_logging(**_: object) -> None:
    # The pool's own logger hides from everybody; what it says of processes that died should be heard.
    get_logger().propagate = True
