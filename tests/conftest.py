"""The plugins that tests of several folders need."""

pytest_plugins = ["tests.cluster.pytest_plugin"]
