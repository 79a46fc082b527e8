from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

from dyncal.domain.time import InstantNs
from services.api.outlets.letters import Envelope, id_of, letter, subject
from tests.unit.services.api.outlets.alarms import T0_NS, change

ENVELOPE = Envelope(
    "dyncal@plant.example", ("shift@plant.example", "lead@plant.example"), "https://dyncal.plant.example"
)
NOW = InstantNs(T0_NS)


def parsed(message: EmailMessage) -> EmailMessage:
    return message_from_bytes(message.as_bytes(), policy=policy.default)


def test_a_subject_says_priority_source_and_kind() -> None:
    assert subject([change(1)]) == "[MEDIUM] TT-101 drift: unacknowledged"
    many = [change(1), change(2, "TT-102", priority="high"), change(3, "TT-103"), change(4, "TT-103", event="cleared")]
    assert subject(many) == "[HIGH] plant: 3 alarms changed (1 high, 2 medium)"


def test_text_and_page_say_what_was_found_and_what_to_do() -> None:
    message = parsed(letter([change(1)], ENVELOPE, "<a@plant.example>", None, NOW))
    text, page = (part.get_content() for part in message.iter_parts())
    for part in (text, page):
        assert "tau_s = 0.55 ± 0.008 (95 %), limit 0.525" in part
        assert "Inspect for fouling." in part
        assert "2026-01-31 12:00:00 UTC" in part
        assert "https://dyncal.plant.example" in part
    assert message["To"] == "shift@plant.example, lead@plant.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["In-Reply-To"] is None


def test_what_others_wrote_cannot_break_out() -> None:
    evil = "<script>alert(1)</script>\r\nBcc: all@plant.example"
    message = parsed(letter([change(1, cause=evil, event="raised")], ENVELOPE, "<a@b>", "<r@b>", NOW))
    text, page = (part.get_content() for part in message.iter_parts())
    assert message["Bcc"] is None
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<script>alert(1)</script> Bcc: all@plant.example" in text
    assert (message["In-Reply-To"], message["References"]) == ("<r@b>", "<r@b>")


def test_an_identity_is_that_of_the_changes_and_the_target() -> None:
    news = [change(1), change(2)]
    assert id_of(news, "shift", "a@plant.example") == id_of(news, "shift", "a@plant.example")
    assert id_of(news, "shift", "a@plant.example").endswith("@plant.example>")
    assert len({id_of(news, "shift", "a@b"), id_of(news[:1], "shift", "a@b"), id_of(news, "lead", "a@b")}) == 3


def test_a_grave_alarm_is_marked() -> None:
    assert letter([change(1, priority="high")], ENVELOPE, "<a@b>", None, NOW)["Importance"] == "high"
    assert letter([change(1)], ENVELOPE, "<a@b>", None, NOW)["Importance"] is None
