"""Fixtures known to every test; each lives in a module of tests/support."""

pytest_plugins = ["tests.support.stores"]
