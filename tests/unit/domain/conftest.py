"""Property tests run without a stop-watch: the machine is shared."""

from hypothesis import settings

settings.register_profile("pitaya", deadline=None)
settings.load_profile("pitaya")
