"""Notifications on their way out: signed, guarded, and always in bounded time."""
