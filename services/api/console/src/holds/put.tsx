import { useRef, useState } from "preact/hooks";
import { Doing, Reason } from "../access/doing";
import { putHold } from "../ask/holds";
import { instant, zoneNow } from "../format";
import { model } from "../model";
import { text } from "../text";

const words = text.holds.put;
const DAY_S = 86_400;

/**
 * Seconds since 1970 of "2026-01-31", "2026-01-31 12:00" or with seconds, in the display's time zone unless one follows, as
 * "Z" or "+01:00"; null for what is none of these.
 */
export function secondsOf(given: string): number | null {
  const found = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?)?(Z|[+-]\d\d:\d\d)?$/.exec(given.trim());
  if (!found) return null;
  const [, day, minute = "00:00", second = ":00", zone = ""] = found;
  const whole = new Date(`${day}T00:00:00Z`);
  // A day that its month does not have would be taken for one of the next.
  if (Number.isNaN(whole.getTime()) || whole.toISOString().slice(0, 10) !== day) return null;
  const at = Date.parse(`${day}T${minute}${second}${zone}`);
  return Number.isNaN(at) || at < 0 ? null : at / 1000;
}

/** Ask whose samples are to stay, of which time and why, and have them stay. */
export function PutHold({ close, done }: { close: () => void; done: () => void }) {
  const [sensor, setSensor] = useState("");
  const [from, setFrom] = useState(() => instant(model.now() - DAY_S * 1000).slice(0, 16));
  const [to, setTo] = useState("");
  const [reason, setReason] = useState("");
  const sent = useRef({ what: "", key: "" });
  const named = sensor.trim();
  const unknown = named !== "" && !model.sensors.has(named);
  const fromS = secondsOf(from);
  const toS = to.trim() ? secondsOf(to) : null;
  const wrong = fromS === null || (to.trim() !== "" && toS === null);
  const turned = !wrong && toS !== null && toS <= fromS;
  const act = async () => {
    const wanted = { sensor: named || null, fromS: fromS!, toS, reason: reason.trim() };
    const what = JSON.stringify(wanted);
    if (sent.current.what !== what) sent.current = { what, key: crypto.getRandomValues(new Uint32Array(4)).join("-") };
    await putHold(wanted, sent.current.key);
    done();
  };
  return (
    <Doing title={words.title} note={words.note} go={words.go} ready={!unknown && !wrong && !turned && reason.trim() !== ""} close={close} act={act}>
      <label class="field">
        {words.sensor}
        <input type="text" list="sensors-known" maxLength={128} value={sensor} onInput={(event) => setSensor(event.currentTarget.value)} />
        <datalist id="sensors-known">
          {[...model.sensors.keys()].slice(0, 2000).map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
        <span class={unknown ? "wrong" : "muted"}>{unknown ? words.unknown(named) : named ? "" : words.all}</span>
      </label>
      <label class="field">
        {words.from(zoneNow())}
        <input type="text" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
      </label>
      <label class="field">
        {words.to(zoneNow())}
        <input type="text" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
        {!to.trim() && <span class="muted">{words.openEnd}</span>}
      </label>
      {(wrong || turned) && <p class="wrong">{wrong ? words.wrong : words.turned}</p>}
      <Reason value={reason} set={setReason} />
    </Doing>
  );
}
