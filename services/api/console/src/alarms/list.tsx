import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Alarm, Verb } from "../ask/alarms";
import { age, instant, ms } from "../format";
import { reveal, target, useView } from "../parts/scrolled";
import { PriorityBadge } from "../parts/state";
import { alarmStateText, text } from "../text";
import { isWaiting } from "./choose";
import { Source } from "./source";
import { What } from "./table";

const words = text.alarms;
const HEIGHT = 54;
const OVERSCAN = 6;

interface Props {
  alarms: Alarm[];
  now: number;
  selected: ReadonlySet<string>;
  select: (id: string, on: boolean) => void;
  act: (verb: Verb, alarm: Alarm) => void;
  open: (id: string) => void;
}

const KEYS: Record<string, Verb> = { a: "acknowledge", s: "shelve", c: "comment" };

/** A table of alarms of which only those in sight exist: a flood brings thousands. One row takes the focus. */
export function AlarmList({ alarms, now, selected, select, act, open }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [view, measure] = useView(box, 600);
  const [current, setCurrent] = useState<string | null>(null);
  const moved = useRef(false);
  useEffect(() => void measure(), [alarms.length]);

  const at = Math.max(0, alarms.findIndex((alarm) => alarm.id === current));
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || !moved.current) return;
    moved.current = false;
    reveal(element, at, HEIGHT, 1);
    element.querySelector<HTMLElement>("tbody tr[tabindex='0']")?.focus({ preventScroll: true });
  }, [current]);

  const keys = (event: KeyboardEvent) => {
    const alarm = alarms[at];
    if (!alarm || event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
    const page = Math.max(1, Math.floor(view.height / HEIGHT) - 1);
    const to = target(event.key, at, page, alarms.length);
    const verb = KEYS[event.key];
    if (to !== undefined) {
      moved.current = true;
      setCurrent(alarms[Math.min(Math.max(to, 0), alarms.length - 1)]!.id);
    } else if (event.key === " ") select(alarm.id, !selected.has(alarm.id));
    else if (event.key === "Enter" && !(event.target instanceof HTMLAnchorElement)) open(alarm.id);
    else if (verb) act(verb, alarm);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const first = Math.min(Math.max(0, Math.floor(view.top / HEIGHT) - OVERSCAN), Math.max(0, alarms.length - 1));
  const last = Math.min(alarms.length, Math.ceil((view.top + view.height) / HEIGHT) + OVERSCAN);
  return (
    <div class="alarm-scroll" ref={box} onScroll={measure} onKeyDown={keys}>
      <table class="list alarm-list" aria-label={words.active} aria-rowcount={alarms.length + 1}>
        <thead>
          <tr>
            <th class="pick">
              <span class="hidden">{words.select}</span>
            </th>
            <th class="a-priority">{words.columns.priority}</th>
            <th class="a-state">{words.columns.state}</th>
            <th class="a-source">{words.columns.sensor}</th>
            <th>{words.columns.what}</th>
            <th class="a-since">{words.columns.since}</th>
            <th>{words.columns.response}</th>
          </tr>
        </thead>
        <tbody>
          {first > 0 && <Space rows={first} />}
          {alarms.slice(first, last).map((alarm, k) => (
            <tr
              key={alarm.id}
              aria-rowindex={first + k + 2}
              tabIndex={first + k === at || (k === 0 && (at < first || at >= last)) ? 0 : -1}
              class={`${isWaiting(alarm) ? "waiting" : ""} ${alarm.active ? "" : "calm"} ${selected.has(alarm.id) ? "picked" : ""}`}
              onFocus={() => setCurrent(alarm.id)}
              onDblClick={() => open(alarm.id)}
            >
              <td class="pick">
                <input
                  type="checkbox"
                  tabIndex={-1}
                  checked={selected.has(alarm.id)}
                  aria-label={words.selectOne(alarm.id)}
                  onChange={(event) => select(alarm.id, event.currentTarget.checked)}
                />
              </td>
              <td>
                <PriorityBadge priority={alarm.priority} active={isWaiting(alarm) || alarm.active} />
              </td>
              <td>
                <State alarm={alarm} />
              </td>
              <td class="clip"><Source alarm={alarm} /></td>
              <td class="clip">
                <What alarm={alarm} />
              </td>
              <td class="instant">
                {alarm.raised_ns === null ? (
                  text.nothing
                ) : (
                  <>
                    {instant(ms(alarm.raised_ns))}
                    <div class="muted">{age((now - ms(alarm.raised_ns)) / 1000)}</div>
                  </>
                )}
              </td>
              <td class="clip">
                <div class="two-lines" title={alarm.response}>
                  {alarm.response}
                </div>
              </td>
            </tr>
          ))}
          {last < alarms.length && <Space rows={alarms.length - last} />}
        </tbody>
      </table>
    </div>
  );
}

/** Room for rows that are out of sight. */
function Space({ rows }: { rows: number }) {
  return (
    <tr class="room" aria-hidden="true">
      <td colSpan={7} style={{ height: rows * HEIGHT }} />
    </tr>
  );
}

function State({ alarm }: { alarm: Alarm }) {
  const until = alarm.state === "shelved" && alarm.shelved_until_ns;
  return (
    <>
      <span class={isWaiting(alarm) ? "strong" : ""}>{alarmStateText[alarm.state]}</span>
      {alarm.chattering && <span class="tag">{words.chattering}</span>}
      {alarm.stale && <span class="tag">{words.staleMark}</span>}
      {until ? <div class="muted">{words.shelvedUntil(instant(ms(until)))}</div> : null}
      {!until && alarm.set_aside_reason && <div class="muted clip">{words.by(alarm.set_aside_by ?? "", alarm.set_aside_reason)}</div>}
    </>
  );
}
