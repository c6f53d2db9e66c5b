"""Whether a history of prices runs through, or was cut by a split or a gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rebalancer.ledger.books import SMALLEST_PRICE_JUMP
from rebalancer.model.instrument import InstrumentId


def continuous(
    values: npt.NDArray[np.float64], instruments: Sequence[InstrumentId]
) -> frozenset[InstrumentId]:
    """Return the instruments whose closes prove that no split stands between them.

    `values` has shape (bars, instruments), oldest first: the bars that the caller wants
    looked at, prices as they are stored. A column proves it with two closes at least, all of
    them known (no NaN) and positive, and none a third above or below the one before it (a
    ratio of 1.33, up or down: the smallest that a price alone can show a split by).
    """
    if len(values) < 2:
        return frozenset()
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = values[1:] / values[:-1]
        smooth = (np.maximum(ratio, 1 / ratio) < 1 + float(SMALLEST_PRICE_JUMP)).all(axis=0)
    sound = (np.isfinite(values) & (values > 0)).all(axis=0)
    return frozenset(instruments[place] for place in np.flatnonzero(smooth & sound).tolist())
