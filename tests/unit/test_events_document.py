"""docs/events.md says what the use cases do, and every event that merchants are told of is in it."""

from domain.events import ANNOUNCED
from tests.event_examples import DOCUMENT, draw, happened


def test_the_document_is_what_the_use_cases_make() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == draw(), "run: python -m tests.event_examples"


async def test_every_announced_event_is_in_the_catalogue_and_has_an_example() -> None:
    assert set(await happened()) == set(ANNOUNCED)
