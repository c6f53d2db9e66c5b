"""What speaks to Interactive Brokers does so through ib_async as well as through ib_insync."""

from __future__ import annotations

import sys

import pytest

from tests.foreign.environments import Unavailable
from tests.foreign.suite import has_library, run_suite


@pytest.mark.strangers
@pytest.mark.slow
@pytest.mark.timeout(1500)  # making the environment downloads
@pytest.mark.xdist_group("ib_async")
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="ib_async is all that this Python has")
def test_the_same_tests_pass_with_ib_async() -> None:
    try:
        done = run_suite(["-n2", "-p", "no:cacheprovider", "-k", "not binance"], show=False)
    except Unavailable as why:
        pytest.skip(str(why))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert has_library("ib_async")
    assert not has_library("ib_insync")
