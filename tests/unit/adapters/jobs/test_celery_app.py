"""What Celery is told: the table as a schedule, and the settings that keep work from getting lost or stuck."""

import pytest

from adapters.inbound.jobs.celery_app import EXPIRES_AT_LEAST, build_celery
from adapters.inbound.jobs.portal import TURN
from adapters.inbound.jobs.table import JOBS, Job
from domain.notifications import LEASE

APP = build_celery("redis://localhost/0")


def test_every_job_of_the_table_is_scheduled_and_can_be_run() -> None:
    schedule = APP.conf.beat_schedule
    assert set(schedule) == {job.name for job in JOBS}
    for job in JOBS:
        assert schedule[job.name]["schedule"] == job.every
        assert schedule[job.name]["task"] in APP.tasks


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_messages_do_not_pile_up_while_no_worker_is_there(job: Job) -> None:
    assert APP.conf.beat_schedule[job.name]["options"]["expires"] == max(job.every, EXPIRES_AT_LEAST)


def test_each_job_is_due_when_beat_starts() -> None:
    from celery.beat import Scheduler

    scheduler = Scheduler(app=APP, lazy=True)
    scheduler.setup_schedule()
    assert all(scheduler.schedule[job.name].is_due().is_due for job in JOBS)


def test_a_message_of_a_dead_worker_comes_back_and_one_of_a_live_worker_does_not() -> None:
    conf = APP.conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    transport = conf.broker_transport_options
    # A task waits for the turns of jobs that have one at a time; of the others it only starts one.
    longest = 2 * (TURN + max(job.within for job in JOBS if job.width == 1))
    assert longest < conf.task_time_limit < transport["visibility_timeout"]
    assert transport["unacked_restore_interval"] * transport["unacked_restore_throttle"] <= 10


def test_a_sweep_of_deliveries_is_cut_off_before_another_worker_takes_them() -> None:
    assert LEASE.total_seconds() > max(job.within for job in JOBS if job.name == "deliver_notifications")


def test_only_json_is_read_and_no_result_is_kept() -> None:
    assert APP.conf.accept_content == ["json"]
    assert APP.conf.task_serializer == "json"
    assert APP.conf.task_ignore_result
    assert not APP.conf.result_backend


def test_logging_is_left_to_bootstrap() -> None:
    assert not APP.conf.worker_hijack_root_logger
    assert not APP.conf.worker_redirect_stdouts


def test_the_scheduler_keeps_no_file() -> None:
    assert APP.conf.beat_scheduler == "celery.beat:Scheduler"


def test_a_process_that_only_schedules_refuses_to_work() -> None:
    with pytest.raises(AssertionError, match="schedule"):
        APP.tasks["pitaya.fan_out_events"]()
