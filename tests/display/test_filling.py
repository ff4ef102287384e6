"""Fillings as a table."""

import pytest

from charlm.display.filling import percent


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, "100.0%"), (0.1234, "12.3%"), (0.0123, "1.2%"), (0.00123, "0.12%"), (1.2e-5, "0.0012%")],
)
def test_small_shares_keep_two_digits(share, shown):
    assert percent(share) == shown
