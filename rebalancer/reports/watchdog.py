"""What the watchdog makes of what it sees: troubles with names, and their mails. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rebalancer.model.heartbeat import Heartbeat
from rebalancer.model.records import Mail
from rebalancer.model.sessions import Session, SessionTable
from rebalancer.reports.document import Document, Paragraph, Section, Tone, document_text
from rebalancer.reports.html import mail_html
from rebalancer.reports.numbers import span, when

HALT_AFTER = timedelta(days=2)
"""A HALT file that stands so long may have been forgotten."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""So far ahead of this machine's clock a heartbeat may be."""


@dataclass(frozen=True)
class Sight:
    """What the watchdog sees of one portfolio, at the wall time `now`.

    `unread` says why the state folder cannot be read, `unwritten` why it cannot be written,
    `config` what is wrong with the configuration ('' nothing). `watching` is since when somebody
    watches. `begun` and `good` are how long ago a run began, and a good one ended: times in which
    a run was due alone where `in_session`, else wall time; `limit` is how long they may be.
    `hung` names the process that holds the lock past its deadline ('' none); `halted` is since
    when a HALT file stands, with its words.
    """

    portfolio: str
    now: datetime
    watching: datetime
    beat: Heartbeat | None
    begun: timedelta
    good: timedelta
    limit: timedelta
    in_session: bool
    unread: str = ""
    unwritten: str = ""
    config: str = ""
    hung: str = ""
    halted: datetime | None = None
    halt_words: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble: what a subject line says, what happened, what to do about it."""

    title: str
    words: str
    to_do: str


FAILED = "watchdog-failed"
"""The one trouble that the watchdog does not see but has."""

TO_DO: Mapping[str, str] = {
    "runs-missing": "Look whether the machine and cron are up, and at state/cron.log. Call "
    "`rebalancer run` by hand: it says why it does not run.",
    "runs-failing": "`rebalancer status` and the mails of the runs say why; the last lines of "
    "state/cron.log too.",
    "run-hangs": "Look at that process. End it by hand when you are sure that it hangs; the next "
    "run finishes its books.",
    "state-unreadable": "Mount, mend or restore it; docs/STATE.md says how, file by file.",
    "state-unwritable": "Free some space, or make it writable again. Until then no run trades.",
    "clock-ahead": "Set this machine's clock by NTP. If it is right now, the next run mends this.",
    "halted-long": "`rebalancer resume` shows it and lifts it. If it is meant to stand, nothing.",
    "config-broken": "`rebalancer check` lists everything that is wrong. Until then no run starts.",
    FAILED: "Call `rebalancer watchdog --debug` by hand: it shows where. Until it is mended nobody "
    "watches this portfolio: look at it yourself with `rebalancer status`.",
}
"""What a mail advises, by code; docs/OPERATIONS.md has a paragraph for each."""


def troubles(sight: Sight) -> Mapping[str, Trouble]:
    """Return what is the matter, by code, in the order in which to look at it."""
    found = {}
    for code, title, words in (
        ("config-broken", "the configuration cannot be used", sight.config),
        ("state-unreadable", "the state folder cannot be read", sight.unread),
        ("state-unwritable", "the state folder cannot be written", sight.unwritten),
        ("clock-ahead", "the clock has been wrong", _ahead(sight)),
        ("run-hangs", "a run hangs", sight.hung and f"The lock is held by {sight.hung}"),
        ("runs-missing", "no run any more", _missing(sight)),
        ("runs-failing", "no run ends well", _failing(sight)),
        ("halted-long", "a HALT file stands for days", _halted(sight)),
    ):
        if words:
            found[code] = Trouble(title, words.rstrip(".") + ".", TO_DO[code])
    return found


def own_failure(words: str) -> Trouble:
    """Return the trouble that the watchdog itself ended with an error."""
    return Trouble("the watchdog fails", words.rstrip(".") + ".", TO_DO[FAILED])


def trouble_mail(portfolio: str, now: datetime, code: str, trouble: Trouble) -> Mail:
    """Return the mail about a trouble that was not told yet."""
    document = Document(
        title=f"{portfolio}: {trouble.title}",
        subtitle=f"the watchdog, {when(now)}",
        lead=(Paragraph(trouble.words, Tone.BAD),),
        sections=(
            Section("What to do", (Paragraph(trouble.to_do),)),
            Section(
                "You are told once",
                (Paragraph(f"of {code}, and once more when it is over."),),
            ),
        ),
    )
    return _mail(portfolio, now, code, document, f"{code}:{now:%Y-%m-%dT%H}")


def recovery_mail(sight: Sight, code: str, since: str) -> Mail:
    """Return the mail that a trouble is over; `since` is when it was told, ISO 8601."""
    last = sight.beat.good if sight.beat is not None else None
    good = f" The last good run ended {when(last)}." if last is not None else ""
    told = when(datetime.fromisoformat(since))
    document = Document(
        title=f"{sight.portfolio}: over: {code}",
        subtitle=f"the watchdog, {when(sight.now)}",
        lead=(Paragraph(f"{code} is over; it was told {told}.{good}", Tone.GOOD),),
        sections=(),
    )
    # The alarm may be of the same minute, and both may be files.
    return _mail(sight.portfolio, sight.now, f"{code}-over", document, f"{code}:over:{since}")


def due_time(sessions: SessionTable | None, since: datetime, until: datetime) -> timedelta:
    """Return how much of a span the market was open; without sessions all of it."""
    if since >= until:
        return timedelta(0)
    if sessions is None:
        return until - since
    return sum(
        (
            max(min(each.close, until) - max(each.open, since), timedelta(0))
            for each in _between(sessions, since, until)
        ),
        timedelta(0),
    )


def allowed_time(
    sessions: SessionTable, since: datetime, until: datetime, spans: Iterable[timedelta]
) -> timedelta:
    """Return how much open market may pass without a run: the sum of `spans` of wall time.

    None counts more than the longest session of the span looked at: a day has no more of it.
    """
    lengths = [each.close - each.open for each in _between(sessions, since, until)]
    longest = max(lengths, default=timedelta(days=1))
    return sum((min(each, longest) for each in spans), timedelta(0))


def _between(sessions: SessionTable, since: datetime, until: datetime) -> Sequence[Session]:
    return sessions.between((since - timedelta(days=1)).date(), until.date())


def _mail(portfolio: str, now: datetime, what: str, document: Document, key: str) -> Mail:
    return Mail(
        key=f"watchdog:{portfolio}:{key}",
        subject=document.title,
        text=document_text(document),
        html=mail_html(document),
        name=f"{now:%Y-%m-%dT%H%MZ}-watchdog-{what}",
    )


def _ahead(sight: Sight) -> str:
    beat = sight.beat
    if beat is None:
        return ""
    latest = max(at for at in (beat.at, beat.ended, beat.good) if at is not None)
    if latest - sight.now <= CLOCK_TOLERANCE:
        return ""
    return (
        f"The last heartbeat is of {when(latest)}, and now it is {when(sight.now)}: one of the "
        "two was told by a wrong clock, and nobody can say how old the last run is"
    )


def _missing(sight: Sight) -> str:
    if sight.unread or _ahead(sight) or sight.begun <= sight.limit:
        return ""
    if sight.beat is None:
        return f"No run has ever begun; the watchdog looks since {when(sight.watching)}"
    return f"The last run began {when(sight.beat.at)}, {_ago(sight, sight.begun)}"


def _failing(sight: Sight) -> str:
    beat = sight.beat
    if beat is None or sight.unread or _ahead(sight) or _missing(sight):
        return ""
    if sight.good <= sight.limit:
        return ""
    last = f"no good one is known since {when(sight.watching)}"
    if beat.good is not None:
        last = f"the last good one ended {when(beat.good)}"
    ended = "how the last one ended is not known"
    if beat.ended is not None and beat.ended < beat.at:
        ended = f"the one that began {when(beat.at)} has not ended"
    elif beat.ended is not None:
        ended = f"the last one ended {when(beat.ended)}: {beat.outcome}, exit code {beat.exit_code}"
    return f"Runs begin, but {ended}; {last}, {_ago(sight, sight.good)}"


def _ago(sight: Sight, age: timedelta) -> str:
    kind = "of open market " if sight.in_session else ""
    return f"{span(age)} {kind}ago; {span(sight.limit)} are allowed"


def _halted(sight: Sight) -> str:
    if sight.halted is None or sight.now - sight.halted <= HALT_AFTER:
        return ""
    words = f" ({sight.halt_words})" if sight.halt_words else ""
    return f"Nothing is sent since {when(sight.halted)}: a HALT file stands{words}"
