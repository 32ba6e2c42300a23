"""Our processes inside a simulated machine: what runs in one dies with it, at any await, and it is started again."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from domain.errors import PitayaError
from tests.simulation.backoffice import BackOffice

T = TypeVar("T")

_here: ContextVar["Process | None"] = ContextVar("process", default=None)


class Process:
    """One run of one of our processes. ``kill -9`` is: every task cancelled, and none may take another step."""

    def __init__(self, role: str, house: BackOffice, on_bug: Callable[[BaseException], None]) -> None:
        self.role = role
        self.house = house
        self.dead = False
        self._tasks: list[asyncio.Task[Any]] = []
        self._on_bug = on_bug

    @staticmethod
    def here() -> "Process | None":
        """The process that the current task belongs to; None for the outside world."""
        return _here.get()

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run in this process. An error that no caller expects (not a PitayaError) is a bug of ours."""
        context = copy_context()
        context.run(_here.set, self)
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks = [each for each in self._tasks if not each.done()]
        self._tasks.append(task)
        task.add_done_callback(self._note)
        return task

    def die(self) -> None:
        self.dead = True
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()

    def step(self) -> None:
        """Raises CancelledError in a dead process: cleaning up is not for the dead."""
        if self.dead:
            raise asyncio.CancelledError

    def _note(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PitayaError):
            self._on_bug(error)
