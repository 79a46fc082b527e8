"""The alarms of a service as docs/alarms.md has them: a test keeps them, and answers a browser for the service."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Page, Route

SOURCES = """
delete window.SharedWorker;
window.sources = [];
const Source = window.EventSource;
window.EventSource = class extends Source {
  constructor(...given) { super(...given); window.sources.push(this); }
};
window.say = (name, data) =>
  window.sources.at(-1).dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) }));
"""

Alarm = dict[str, Any]


def alarm(source: str, kind: str = "drift", *, number: int = 1, at_ns: int = 0, **more: Any) -> Alarm:
    """Return an alarm that was raised, and that nobody has acknowledged."""
    return {
        "id": f"{source}:{kind}",
        "site": "plant",
        "source": source,
        "scope": "sensor",
        "sensor": source,
        "kind": kind,
        "alarm_class": "instrument",
        "priority": "medium",
        "state": "unacknowledged",
        "active": True,
        "acknowledged": False,
        "latched": False,
        "annunciation": "single",
        "chattering": False,
        "stale": False,
        "raised_ns": at_ns,
        "cleared_ns": None,
        "changed_ns": at_ns,
        "acknowledged_ns": None,
        "acknowledged_by": "",
        "shelved_until_ns": None,
        "suppressed_by": [],
        "out_of_service": False,
        "set_aside_ns": None,
        "set_aside_by": "",
        "set_aside_reason": "",
        "parameter": "tau_s",
        "value": 0.083,
        "u": 0.004,
        "limit": 11.0,
        "cause": "The sensor has become slower: fouling, or a thermowell that has come loose.",
        "consequence": "Corrected values rest on an older calibration until the correction has followed.",
        "response": "Plan an inspection; the correction follows the change and stays valid meanwhile.",
        "n_raised": 1,
        "n_comments": 0,
        "number": number,
        **more,
    }


@dataclass
class Desk:
    """Alarms, what was done to them, and the commands that came."""

    now_ns: int
    alarms: dict[str, Alarm] = field(default_factory=dict)
    changes: list[Alarm] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    refuse: str = ""
    number: int = 0

    def put(self, made: Alarm, event: str = "raised", reason: str = "", actor: str = "") -> Alarm:
        """Take an alarm as it stands now, as a change."""
        self.number += 1
        made = {**made, "number": self.number}
        self.alarms[made["id"]] = made
        change = {"event": event, "at_ns": self.now_ns, "actor": actor, "reason": reason, "annunciated": "single"}
        self.changes.insert(0, {**made, **change})
        return made

    async def attend(self, page: Page) -> None:
        """Answer for the service on a page that has not been opened yet."""
        await page.add_init_script(SOURCES)
        await page.route("**/v1/alarms**", self._answer)

    async def _answer(self, route: Route) -> None:
        path = route.request.url.split("/v1/alarms")[1].split("?")[0]
        if route.request.method == "POST":
            self.keys.append(route.request.headers["idempotency-key"])
            await route.fulfill(json=self._command(json.loads(route.request.post_data or "")))
        elif path == "":
            standing = [each for each in self.alarms.values() if each["state"] != "normal"]
            await route.fulfill(json={"number": self.number, "items": standing, "next_cursor": None})
        elif path == "/history":
            await route.fulfill(json={"now_ns": self.now_ns, "items": self.changes[:100], "next_cursor": None})
        elif path == "/kpis":
            await route.fulfill(json=KPIS)
        else:
            known = self.alarms[path[1:].replace("%3A", ":")]
            mine = [each for each in self.changes if each["id"] == known["id"]]
            comments = [each for each in mine if each["event"] == "commented"]
            definition = {"max_shelving_s": 28_800.0, "alarm_class": "instrument"}
            await route.fulfill(json={"alarm": known, "definition": definition, "history": mine, "comments": comments})

    def _command(self, body: dict[str, Any]) -> dict[str, Any]:
        self.commands.append(body)
        outcomes = []
        for name in body["alarms"]:
            refused = name == self.refuse
            if not refused:
                self.put(
                    {**self.alarms[name], **self._done(body)},
                    EVENTS[body["command"]],
                    body.get("reason", ""),
                    "http:me",
                )
            detail = "raised_since" if refused else ""
            outcomes.append(
                {"id": name, "done": not refused, "refusal": detail, "detail": "", "alarm": self.alarms[name]}
            )
        n_done = sum(outcome["done"] for outcome in outcomes)
        return {"n_done": n_done, "n_refused": len(outcomes) - n_done, "outcomes": outcomes}

    def _done(self, body: dict[str, Any]) -> Alarm:
        match body["command"]:
            case "acknowledge":
                return {"state": "acknowledged", "acknowledged": True, "acknowledged_ns": self.now_ns}
            case "shelve":
                until = self.now_ns + int(body["duration_s"] * 1e9)
                return {"state": "shelved", "shelved_until_ns": until, "set_aside_reason": body["reason"]}
            case "unshelve":
                return {"state": "unacknowledged", "shelved_until_ns": None, "set_aside_reason": ""}
            case _:
                return {}


EVENTS = {
    "acknowledge": "acknowledged",
    "shelve": "shelved",
    "unshelve": "unshelved",
    "comment": "commented",
}

KPIS = {
    "from_ns": 0,
    "to_ns": 1,
    "n_operators": 1.0,
    "n_annunciated": 212,
    "n_held_back": 340,
    "per_operator_hour": 23.0,
    "peak_per_10_min": 61.0,
    "flood_share": 0.04,
    "n_floods": 3,
    "top": [{"id": f"TT-{k}:drift", "n": 90 - 9 * k, "share": 0.16, "n_per_minute": 2} for k in range(10)],
    "top_share": 0.71,
    "chattering": [{"id": "PT-3:source_silent", "n": 31, "share": 0.06, "n_per_minute": 7}],
    "fleeting": [],
    "stale": ["FT-7:out_of_tolerance"],
    "n_by_priority": {"high": 12, "medium": 300, "low": 240},
    "n_acknowledged": 200,
    "mean_acknowledge_s": 141.0,
}
