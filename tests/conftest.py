"""Fixtures known to every test; each lives in a module of tests/support."""

from hypothesis import settings

pytest_plugins = ["tests.support.brokers", "tests.support.stores"]

# A deadline per example measures how busy the machine is, not whether what is tested is right.
settings.register_profile("loadflame", deadline=None)
settings.load_profile("loadflame")
