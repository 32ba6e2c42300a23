"""PITAYA_CRASH: die at a named place, as if the machine had been switched off."""

import os
import signal

from application.crashpoints import CRASHPOINTS, install
from bootstrap.settings import SettingsError


def arm(place: str | None) -> None:
    """``name:nth`` kills the whole process group at the nth time this process passes ``name``; None disarms."""
    if place is None:
        return
    name, _, nth = place.partition(":")
    if name not in CRASHPOINTS or not (nth.isascii() and nth.isdigit() and int(nth) > 0):
        raise SettingsError(f"PITAYA_CRASH is name:nth, nth from 1, and the names are {', '.join(CRASHPOINTS)}")
    left = int(nth)

    def die(passed: str) -> None:
        nonlocal left
        if passed == name:
            left -= 1
            if left == 0:
                # The group, not only us: a Celery parent would start the next child, which would die here again.
                os.killpg(os.getpgid(0), signal.SIGKILL)

    install(die)
