"""Pictures for mails and pages, as PNG (mail clients drop SVG).

The only module that knows matplotlib, imported when a picture is due. The same input gives
the same bytes with the same matplotlib: no times or versions are written into the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING

from rebalancer.model.records import EquityPoint, RunRecord
from rebalancer.reports.rows import position_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg

INK, SOFT, LINE, FALL, WANTED = "#1f2933", "#52606d", "#1d4e89", "#b42318", "#e0a458"
MOST_POINTS = 700
MOST_BARS = 20


def equity_png(points: Sequence[EquityPoint], currency: str = "") -> bytes:
    """Return the curve of net liquidation and, below it, the drawdown, under 60 kB.

    Of a long history only each session's last point is drawn. Raises `ValueError` without
    a point.
    """
    if not points:
        raise ValueError("no point to draw")
    shown = _thinned(points)
    times = [point.slot for point in shown]
    worth = [float(point.net_liquidation) for point in shown]
    falls = [-100 * float(point.drawdown) for point in shown]
    canvas = _canvas(6.8, 3.9)
    upper, lower = canvas.figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    mark = "o" if len(shown) == 1 else ("." if len(shown) <= 40 else "")
    upper.plot(times, worth, color=LINE, linewidth=1.4, marker=mark, markersize=5)
    label = f"Net liquidation ({currency})" if currency else "Net liquidation"
    _panel(upper, label)
    lower.plot(times, falls, color=FALL, linewidth=1.0, marker=mark, markersize=5)
    lower.fill_between(times, falls, 0, color=FALL, alpha=0.18, linewidth=0)
    lower.set_ylim(min([*falls, -0.1]) * 1.15, max(0.02, -min(falls) * 0.05))
    _panel(lower, "Drawdown (%)")
    _scales(upper, lower, times)
    return _png(canvas)


def weights_png(record: RunRecord) -> bytes | None:
    """Return bars of current and wanted weights, the largest first; None when none is known."""
    rows = [
        (row.instrument.partition("@")[0], row.weight or 0.0, row.target_weight or 0.0)
        for row in position_rows(record)
        if row.managed and (row.weight is not None or row.target_weight is not None)
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: (-max(abs(row[1]), abs(row[2])), row[0]))
    rows = rows[:MOST_BARS][::-1]
    canvas = _canvas(6.8, 0.9 + 0.24 * len(rows))
    axes = canvas.figure.subplots()
    places = range(len(rows))
    axes.barh(
        [place + 0.2 for place in places],
        [100 * weight for _, weight, _ in rows],
        height=0.38,
        color=LINE,
        label="held",
    )
    axes.barh(
        [place - 0.2 for place in places],
        [100 * target for _, _, target in rows],
        height=0.38,
        color=WANTED,
        label="wanted",
    )
    axes.set_yticks(list(places), [name for name, _, _ in rows])
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.set_xlabel("% of sizing capital", color=SOFT, fontsize=8)
    _panel(axes, "")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8, frameon=False)
    return _png(canvas)


def _thinned(points: Sequence[EquityPoint]) -> list[EquityPoint]:
    """Return at most `MOST_POINTS`, the last of each session first of all, ends included."""
    ordered = sorted(points, key=lambda point: point.slot)
    if len(ordered) <= MOST_POINTS:
        return ordered
    daily = list({point.session: point for point in ordered}.values())
    if daily[0] is not ordered[0]:
        daily.insert(0, ordered[0])
    stride = -(-len(daily) // MOST_POINTS)
    return daily[:-1:stride] + daily[-1:]


def _canvas(width: float, height: float) -> FigureCanvasAgg:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")
    return FigureCanvasAgg(figure)


def _panel(axes: Axes, label: str) -> None:
    axes.set_title(label, loc="left", fontsize=9, color=INK)
    axes.grid(visible=True, color="#e4e7eb", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=SOFT, length=3)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_color("#cbd2d9")


def _scales(upper: Axes, lower: Axes, times: Sequence[datetime]) -> None:
    """Write dates below and whole amounts beside, without offsets or powers of ten."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, DateFormatter, date2num
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if len(times) == 1:
        lower.set_xticks([float(date2num(times[0]))])  # type: ignore[no-untyped-call]
        whole = DateFormatter("%Y-%m-%d %H:%M")  # type: ignore[no-untyped-call]
        lower.xaxis.set_major_formatter(whole)
    else:
        locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
        lower.xaxis.set_major_locator(locator)
        concise = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        lower.xaxis.set_major_formatter(concise)
        lower.xaxis.get_offset_text().set_fontsize(8)
    upper.yaxis.set_major_locator(MaxNLocator(5))
    low, high = upper.get_ylim()
    places = 0 if high - low > 4 else 2
    upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{places}f}"))
    lower.yaxis.set_major_locator(MaxNLocator(3))


def _png(canvas: FigureCanvasAgg) -> bytes:
    """Return the picture with a palette of 64 colours: a third of the bytes, and no alpha."""
    from PIL import Image  # matplotlib's own way to PNG

    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = bytes(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    full = Image.frombytes("RGBA", canvas.get_width_height(), pixels)
    out = BytesIO()
    full.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
