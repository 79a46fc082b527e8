"""E-mail to a real server of this process (aiosmtpd)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from prometheus_client import CollectorRegistry

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.clocks import SystemClock
from services.api.outlets import backoff
from services.api.outlets.service import Outlets
from services.api.outlets.settings import MailSettings
from tests.integration.outlets.certificates import authority, issued
from tests.unit.services.api.outlets.alarms import FakeFeed, change


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.02)
    monkeypatch.setattr(backoff, "LONGEST_S", 0.2)


@dataclass
class Mailbox:
    """What came.

    Without slots: aiosmtpd looks at all members, and a dataclass with slots has one that raises before Python 3.11.3.
    """

    port: int = 0
    answers: list[str] = field(default_factory=list)
    """Given in turn, before messages are taken."""
    poison: bytes = b""
    """Messages with this in them are refused."""
    n_refused: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        del server, session
        if self.answers:
            return self.answers.pop(0)
        content = cast(bytes, envelope.content)
        if self.poison and self.poison in content:
            self.n_refused += 1
            return "554 we do not like what you say"
        self.messages.append(message_from_bytes(content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        del server, session, envelope, mechanism
        self.logins.append(data.password)
        return AuthResult(success=data.password == b"pa55")

    async def until(self, n: int, timeout_s: float = 10) -> None:
        async with asyncio.timeout(timeout_s):
            while len(self.messages) < n:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None, *, login: bool = False) -> AsyncIterator[Mailbox]:
    mailbox, loop = Mailbox(), asyncio.get_running_loop()
    more: dict[str, Any] = {"authenticator": mailbox.login, "auth_required": True} if login else {}
    server = await loop.create_server(
        lambda: SMTP(mailbox, tls_context=tls, require_starttls=tls is not None, loop=loop, **more), "127.0.0.1", 0
    )
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


def settings(port: int, **more: Any) -> MailSettings:
    recipients = [{"name": "shift", "to": ["shift@plant.example"]}]
    given = {
        "port": port,
        "security": "none",
        "sender": "dyncal@plant.example",
        "recipients": recipients,
        "digest_s": 1,
    }
    return MailSettings.model_validate({**given, **more})


@asynccontextmanager
async def running(tmp_path: Path, feed: FakeFeed, mail: MailSettings) -> AsyncIterator[Outlets]:
    outlets = Outlets.make(
        [],
        mail,
        queue_file=tmp_path / "outlets.sqlite",
        feed=feed,
        clock=SystemClock(),
        metrics=CollectorRegistry(),
    )
    task = asyncio.create_task(outlets.run())
    try:
        assert outlets._queue is not None
        async with asyncio.timeout(5):
            while outlets._queue._last("shift") is None:
                await asyncio.sleep(0.01)
        yield outlets
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        outlets.close()


async def test_one_alarm_is_one_thread(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with receiving() as mailbox, running(tmp_path, feed, settings(mailbox.port)) as outlets:
        for n, event in enumerate(("raised", "acknowledged", "cleared"), 1):
            feed.add(change(n, event=event))
            outlets.wake()
            await mailbox.until(n)
        feed.add(change(4, "TT-102"))
        outlets.wake()
        await mailbox.until(4)
        first, second, third, other = mailbox.messages
        assert first["Subject"] == "[MEDIUM] TT-101 drift: unacknowledged"
        assert first["In-Reply-To"] is None
        assert second["In-Reply-To"] == third["In-Reply-To"] == first["Message-ID"]
        assert other["In-Reply-To"] is None
        assert mailbox.recipients[0] == ["shift@plant.example"]
        assert outlets.faults() == {"outlet.shift": ""}


async def test_a_flood_goes_together_and_nothing_is_missing(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with receiving() as mailbox, running(tmp_path, feed, settings(mailbox.port, singly=2)) as outlets:
        feed.add(*(change(n, f"TT-{n}") for n in range(1, 501)))
        outlets.wake()
        await mailbox.until(3)
        await asyncio.sleep(0.2)
        assert len(mailbox.messages) == 3
        told = [part.get_content() for message in mailbox.messages for part in message.iter_parts()][::2]
        lines = [line for text in told for line in text.splitlines() if "raised: TT-" in line]
        assert [line.split("TT-")[1].split()[0] for line in lines] == [str(n) for n in range(1, 501)]
        assert mailbox.messages[0]["Subject"] == "[MEDIUM] plant: 200 alarms changed (200 medium)"


async def test_what_cannot_be_sent_waits_over_a_restart(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with receiving() as mailbox:
        mailbox.answers = ["451 later", "554 no", "451 later"]
        async with running(tmp_path, feed, settings(mailbox.port)) as outlets:
            feed.add(change(1))
            outlets.wake()
            async with asyncio.timeout(5):
                while len(mailbox.answers) > 1:
                    await asyncio.sleep(0.01)
            assert "SMTP" in outlets.faults()["outlet.shift"]
        async with running(tmp_path, feed, settings(mailbox.port)):
            await mailbox.until(1)
            await asyncio.sleep(0.1)
            assert len(mailbox.messages) == 1


@pytest.mark.parametrize("singly", [20, 0])
async def test_a_message_that_is_refused_holds_up_its_alarm_alone(tmp_path: Path, singly: int) -> None:
    feed = FakeFeed()
    async with receiving() as mailbox, running(tmp_path, feed, settings(mailbox.port, singly=singly)) as outlets:
        mailbox.poison = b"TT-BAD"
        feed.add(change(1, "TT-1"), change(2, "TT-BAD"), *(change(n, f"TT-{n}") for n in range(3, 13)))
        feed.add(change(13, "TT-BAD", event="cleared"))
        outlets.wake()
        async with asyncio.timeout(10):
            while outlets.standing()[0].n_delivered < 11:
                await asyncio.sleep(0.01)
        assert (outlets.standing()[0].n_waiting, mailbox.n_refused > 0) == (2, True)
        told = b"".join(bytes(message) for message in mailbox.messages).decode()
        assert all(f"TT-{n} " in told for n in (1, *range(3, 13)))
        mailbox.poison = b""
        async with asyncio.timeout(10):
            while outlets.standing()[0].n_delivered < 13:
                await asyncio.sleep(0.01)
        assert mailbox.messages[-1].get_body(("plain",)) is not None


async def test_a_server_that_refuses_everything_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = FakeFeed()
    async with receiving() as mailbox, running(tmp_path, feed, settings(mailbox.port, singly=0)) as outlets:
        mailbox.poison = b"dyncal"
        monkeypatch.setattr(backoff, "LONGEST_S", 60.0)
        monkeypatch.setattr(backoff, "FIRST_S", 60.0)
        feed.add(*(change(n, f"TT-{n}") for n in range(1, 201)))
        outlets.wake()
        async with asyncio.timeout(10):
            while mailbox.n_refused < 11:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert mailbox.n_refused == 11
        assert outlets.standing()[0].n_waiting == 200


async def test_starttls_and_login(tmp_path: Path) -> None:
    feed, ca = FakeFeed(), authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*issued(tmp_path, ca))
    (tmp_path / "password").write_text("pa55\n")
    secured = {"security": "starttls", "username": "dyncal", "password_file": tmp_path / "password"}
    async with receiving(context, login=True) as mailbox:
        async with running(tmp_path, feed, settings(mailbox.port, **secured)) as outlets:
            feed.add(change(1))
            outlets.wake()
            async with asyncio.timeout(5):
                while "certificate" not in outlets.faults()["outlet.shift"].lower():
                    await asyncio.sleep(0.01)
            assert not mailbox.logins
        async with running(tmp_path, feed, settings(mailbox.port, ca_file=ca.file, **secured)):
            await mailbox.until(1)
        assert mailbox.logins[-1] == b"pa55"


async def test_a_server_without_tls_gets_nothing(tmp_path: Path) -> None:
    feed = FakeFeed()
    async with (
        receiving() as mailbox,
        running(tmp_path, feed, settings(mailbox.port, security="starttls")) as outlets,
    ):
        feed.add(change(1))
        outlets.wake()
        async with asyncio.timeout(5):
            while "STARTTLS" not in outlets.faults()["outlet.shift"]:
                await asyncio.sleep(0.01)
        assert not mailbox.messages


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": "a", "password_file": "b"},
        {"username": "a", "security": "tls"},
        {"sender": "nobody"},
        {"recipients": [{"name": "a", "to": ["x@y, z@w"]}]},
        {"recipients": [{"name": "a", "to": []}]},
        {"link": 'https://x"onmouseover='},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        settings(25, **wrong)


def test_a_password_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    mail = settings(25, security="tls", username="a", password_file=tmp_path / "none")
    with pytest.raises(InvalidSetting, match="password_file"):
        Outlets.make(
            [],
            mail,
            queue_file=tmp_path / "q.sqlite",
            feed=FakeFeed(),
            clock=SystemClock(),
            metrics=CollectorRegistry(),
        )
