"""A report as HTML: for a mail (pictures by cid) and as a page that stands alone.

The only module that knows jinja2, imported when a mail or a page is due.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from rebalancer.model.records import EquityPoint, RunRecord
from rebalancer.model.words import plain
from rebalancer.reports.blocks import base_currency
from rebalancer.reports.document import Document, Picture, Section
from rebalancer.reports.plots import equity_png, weights_png
from rebalancer.reports.summary import run_document

if TYPE_CHECKING:
    from jinja2 import Template

EQUITY = "equity.png"
WEIGHTS = "weights.png"


def mail_html(document: Document) -> str:
    """Return the report as the HTML of a mail; pictures are referred to as `cid:<name>`."""
    return _render(document, {})


def page_html(document: Document, images: Mapping[str, bytes]) -> str:
    """Return the report as one HTML file; `images` are PNG bytes by picture name."""
    sources = {
        name: "data:image/png;base64," + base64.b64encode(content).decode("ascii")
        for name, content in images.items()
    }
    return _render(document, sources)


def report_page(record: RunRecord, equity: Sequence[EquityPoint]) -> str:
    """Return a run's stand-alone report with its pictures inside."""
    document = run_document(record)
    images = {}
    pictures: list[Picture] = []
    if equity:
        images[EQUITY] = equity_png(equity, base_currency(record))
        pictures.append(Picture(EQUITY, "Net liquidation and drawdown"))
    weights = weights_png(record)
    if weights is not None:
        images[WEIGHTS] = weights
        pictures.append(Picture(WEIGHTS, "Weights against targets"))
    return page_html(with_pictures(document, pictures), images)


def with_pictures(document: Document, pictures: Sequence[Picture]) -> Document:
    """Return the report with pictures below its key figures."""
    if not pictures:
        return document
    first, *rest = document.sections
    shown = Section(first.title, (*first.blocks, *pictures))
    return Document(
        document.title,
        document.subtitle,
        document.banner,
        document.lead,
        (shown, *rest),
        document.footer,
    )


def _render(document: Document, sources: Mapping[str, str]) -> str:
    return _template().render(document=document, sources=sources)


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rebalancer.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: plain(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")
