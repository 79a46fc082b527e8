import type { Alarm, Change, Verb } from "../ask/alarms";
import { getAlarm } from "../ask/alarms";
import { instant, ms } from "../format";
import { useAnswer } from "../hooks";
import { Dialog } from "../parts/dialog";
import { type Fact, FactList } from "../parts/facts";
import { PriorityBadge } from "../parts/state";
import { alarmEventText, alarmStateText, kindText, text } from "../text";
import { Needs } from "../parts/who";
import { useMay } from "../who";
import { applies } from "./choose";
import { Source } from "./source";
import { What } from "./table";

const words = text.alarms;
const VERBS: Verb[] = [
  "acknowledge",
  "reset",
  "shelve",
  "unshelve",
  "comment",
  "suppress",
  "unsuppress",
  "take_out_of_service",
  "return_to_service",
];

/** One alarm: what it means, what to do, what was done, and what can be done. */
export function AlarmDetail({ alarm, close, act }: { alarm: Alarm; close: () => void; act: (verb: Verb) => void }) {
  const { answer, error } = useAnswer(() => getAlarm(alarm.id), [alarm.id, alarm.number]);
  const facts: Fact[] = [
    [words.columns.state, alarmStateText[alarm.state]],
    [words.causeTitle, alarm.cause || text.nothing],
    [words.consequence, alarm.consequence || text.nothing],
    [words.responseTitle, alarm.response || text.nothing],
    [words.columns.since, alarm.raised_ns === null ? text.nothing : instant(ms(alarm.raised_ns))],
  ];
  if (alarm.n_raised) facts.push([words.raisedTimes, String(alarm.n_raised)]);
  if (alarm.acknowledged_ns) facts.push([words.acknowledgedBy, `${instant(ms(alarm.acknowledged_ns))} ${words.by(alarm.acknowledged_by ?? "", "")}`]);
  return (
    <Dialog title={`${alarm.sensor || alarm.source || alarm.id}: ${kindText[alarm.kind] ?? alarm.kind}`} close={close}>
      <p>
        <PriorityBadge priority={alarm.priority} active={alarm.active} /> <What alarm={alarm} short />
      </p>
      <FactList facts={facts} />
      <div class="actions start">
        <Needs role="operator" />
        {useMay("operator") && VERBS.filter((verb) => applies(verb, alarm)).map((verb) => (
          <button key={verb} class={verb === "acknowledge" ? "plain main" : "plain"} onClick={() => act(verb)}>
            {words.verbs[verb]}
          </button>
        ))}
      </div>
      {error && <p class="muted">{text.failed(error.message)}</p>}
      {answer && (
        <>
          <h3>{words.comments}</h3>
          {answer.comments.length ? (
            <ul class="comments">
              {answer.comments.map((each) => (
                <li key={each.number}>
                  {each.reason} <span class="muted">{`${each.actor ?? ""}, ${instant(ms(each.at_ns ?? each.changed_ns))}`}</span>
                </li>
              ))}
            </ul>
          ) : (
            <p class="muted">{words.noComments}</p>
          )}
          <h3>{words.history}</h3>
          <div class="scroll" tabIndex={0} role="group" aria-label={words.history}>
            <Changes changes={answer.history} />
          </div>
        </>
      )}
    </Dialog>
  );
}

/** Changes of one alarm or of all, newest first. */
export function Changes({ changes, sources = false }: { changes: Change[]; sources?: boolean }) {
  return (
    <table class="list" aria-label={words.history}>
      <thead>
        <tr>
          <th>{words.changed}</th>
          {sources && <th>{words.columns.priority}</th>}
          {sources && <th>{words.columns.sensor}</th>}
          {sources && <th>{words.columns.what}</th>}
          <th>{words.event}</th>
          <th>{words.actor}</th>
          <th>{words.reason}</th>
        </tr>
      </thead>
      <tbody>
        {changes.map((each) => (
          <tr key={each.number ?? `${each.id}@${each.changed_ns}`} class={each.active ? "" : "calm"}>
            <td class="instant">{instant(ms(each.at_ns ?? each.changed_ns))}</td>
            {sources && (
              <td>
                <PriorityBadge priority={each.priority} active={each.active} />
              </td>
            )}
            {sources && <td><Source alarm={each} /></td>}
            {sources && (
              <td>
                <What alarm={each} short />
              </td>
            )}
            <td>{each.event ? (alarmEventText[each.event] ?? each.event) : alarmStateText[each.state]}</td>
            <td>{each.actor ?? ""}</td>
            <td class="words">{each.reason ?? ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
