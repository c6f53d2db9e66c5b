import time
from tests.exchanges import Exchanges, write_coins, FIRST
from datetime import timedelta


def test_x(tmp_path):
    import logging

    path = write_coins(tmp_path)
    ex = Exchanges(path)
    t = time.perf_counter()
    for k in range(2):
        r = ex.hour(FIRST + timedelta(hours=k))
        print(time.perf_counter() - t, ex.counts)
        print(r.status if hasattr(r, "status") else r)
        for f in r.flags:
            print(f)
