"""The page fixture notices what it is there to notice."""

import pytest
from playwright.sync_api import Page


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("<img src='http://foreign.invalid/x.png'>", "asked http://foreign.invalid/x.png"),
        ("<script>console.error('said')</script>", "said"),
        ("<script>throw new Error('thrown')</script>", "thrown"),
    ],
)
def test_a_foreign_request_a_console_error_and_a_page_error_are_faults(
    page: Page, faults: list[str], content: str, fault: str
) -> None:
    page.set_content(content)
    page.wait_for_load_state("networkidle")

    assert fault in faults
    faults.clear()
