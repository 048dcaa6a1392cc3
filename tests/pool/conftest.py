"""The estimators of the common tests: with heads for strategies that need them."""

from tests.test_common import estimators  # noqa: F401
