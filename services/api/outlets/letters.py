"""What is written in e-mail: one message about one alarm, or one about many."""

from __future__ import annotations

import hashlib
import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from dyncal.domain.alarms import Priority
from dyncal.domain.time import InstantNs, to_datetime
from services.api.outlets.news import News

_STYLE = "border-collapse:collapse;font-family:sans-serif;font-size:14px"
_CELL = "border:1px solid #ccc;padding:4px 8px;vertical-align:top;text-align:left"


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom, to whom, and where the console is ('' where that is not said)."""

    sender: str
    to: Sequence[str]
    link: str = ""


def letter(
    news: Sequence[News], envelope: Envelope, message_id: str, thread: str | None, now: InstantNs
) -> EmailMessage:
    """Return a message about one or more changes.

    Parameters
    ----------
    message_id : str
        The same whenever these changes are sent, so that what is sent twice can be told.
    thread : str, optional
        Id of the first message about the alarm; None for a message about several, or for that one itself.
    """
    message = EmailMessage()
    message["From"] = Address(display_name="dyncal", addr_spec=envelope.sender)
    message["To"] = [Address(addr_spec=to) for to in envelope.to]
    message["Subject"] = subject(news)
    message["Date"] = format_datetime(to_datetime(now))
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    if thread is not None and thread != message_id:
        message["In-Reply-To"] = thread
        message["References"] = thread
    if any(n.priority is Priority.HIGH and n.active for n in news):
        message["Importance"] = "high"
    message.set_content("\n\n".join(_lines(n) for n in news) + (f"\n\n{envelope.link}" if envelope.link else "") + "\n")
    message.add_alternative(_page(news, envelope.link), subtype="html")
    return message


def id_of(news: Sequence[News], target: str, sender: str) -> str:
    """Return the identity of the message that tells `target` of these changes."""
    of_all = hashlib.sha256(f"{target} {[n.event_id for n in news]}".encode()).hexdigest()[:24]
    return f"<{of_all}@{sender.rpartition('@')[2]}>"


def subject(news: Sequence[News]) -> str:
    """Return a line that says priority, source and kind; of several alarms how many, the gravest first."""
    latest = {n.id: n for n in news}
    if len(latest) == 1:
        one = news[-1]
        return _one_line(f"[{one.priority.upper()}] {one.source} {_words(one.kind)}: {_words(one.state)}")
    counts = Counter(n.priority for n in latest.values())
    graded = ", ".join(f"{counts[p]} {p}" for p in sorted(counts, key=lambda p: -p.rank))
    gravest = max(counts, key=lambda p: p.rank)
    return _one_line(f"[{gravest.upper()}] {news[-1].site}: {len(latest)} alarms changed ({graded})")


def _lines(news: News) -> str:
    facts = [f"{_at(news.told_ns)}  {_words(news.event)}: {news.source} {_words(news.kind)}, {_words(news.state)}"]
    facts += [f"  {name}: {text}" for name, text in _facts(news)]
    return "\n".join(facts)


def _facts(news: News) -> list[tuple[str, str]]:
    found = [("priority", str(news.priority)), ("found", _found(news)), ("cause", news.cause)]
    found += [("consequence", news.consequence), ("response", news.response)]
    found += [("by", news.actor), ("reason", news.reason)]
    return [(name, _one_line(text)) for name, text in found if text]


def _found(news: News) -> str:
    if news.value is None:
        return ""
    text = f"{news.parameter or 'value'} = {news.value:.6g}"
    text += f" ± {2 * news.u:.2g} (95 %)" if news.u is not None else ""
    return text + (f", limit {news.limit:.6g}" if news.limit is not None else "")


def _page(news: Sequence[News], link: str) -> str:
    rows = []
    for n in news:
        cells = [_at(n.told_ns), str(n.priority), n.source, _words(n.kind), _words(n.event), _words(n.state)]
        cells.append("; ".join(f"{name}: {text}" for name, text in _facts(n) if name != "priority"))
        rows.append("<tr>" + "".join(f'<td style="{_CELL}">{html.escape(cell)}</td>' for cell in cells) + "</tr>")
    names = ("time", "priority", "source", "alarm", "event", "state", "details")
    head = "".join(f'<th style="{_CELL}">{name}</th>' for name in names)
    foot = f'<p><a href="{html.escape(link)}">{html.escape(link)}</a></p>' if link else ""
    return (
        f'<!doctype html><html lang="en"><body><table style="{_STYLE}"><tr>{head}</tr>{"".join(rows)}</table>{foot}'
        "</body></html>"
    )


def _at(instant_ns: int) -> str:
    return to_datetime(instant_ns).strftime("%Y-%m-%d %H:%M:%S UTC")


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
