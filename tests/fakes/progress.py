"""Progress in memory: everything that was told, too."""

from dataclasses import dataclass, field
from datetime import date

from application.ports.progress import Step


@dataclass
class FakeProgress:
    told: list[Step | None] = field(default_factory=list)
    steps: dict[tuple[str, date], Step] = field(default_factory=dict)

    async def tell(self, account_id: str, day: date, step: Step | None) -> None:
        self.told.append(step)
        if step is None:
            self.steps.pop((account_id, day), None)
        else:
            self.steps[account_id, day] = step

    async def step(self, account_id: str, day: date) -> Step | None:
        return self.steps.get((account_id, day))
