import { useEffect, useState } from "preact/hooks";
import { getMembers, type Member, type MemberState, type Rollout } from "../ask/rollouts";
import { plain } from "../format";
import { Mark } from "../parts/tile";
import { text } from "../text";

const words = text.rollouts.members;
const WRONG = new Set<MemberState>(["stuck"]);

/** The sensors of a rollout, in the order in which they are taken; those of one state where that is chosen. */
export function Members({ rollout, read }: { rollout: Rollout; read: number }) {
  const [state, choose] = useState("");
  const [pages, unfold] = useState(1);
  const [items, setItems] = useState<Member[]>([]);
  const [all, setAll] = useState(true);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    let ended = false;
    const load = async () => {
      const found: Member[] = [];
      let cursor: string | null = null;
      try {
        for (let k = 0; k < pages && (k === 0 || cursor); k++) {
          const page = await getMembers(rollout.id, state, cursor);
          found.push(...page.items);
          cursor = page.next_cursor;
        }
        if (ended) return;
        setItems(found);
        setAll(cursor === null);
        setFailure("");
      } catch (error) {
        if (!ended) setFailure((error as Error).message);
      }
    };
    void load();
    return () => {
      ended = true;
    };
  }, [rollout.id, state, pages, read]);
  const pick = (next: string) => {
    unfold(1);
    choose(next);
  };
  const { columns } = words;
  return (
    <section class="panel wide">
      <div class="panel-head">
        <h2>{words.title}</h2>
        <label class="muted">
          {words.filter}{" "}
          <select value={state} onChange={(event) => pick(event.currentTarget.value)}>
            <option value="">{words.all}</option>
            {Object.entries(words.states).map(([key, each]) => (
              <option key={key} value={key}>
                {each}
              </option>
            ))}
          </select>
        </label>
      </div>
      {failure && <p class="failure">{text.failed(failure)}</p>}
      <table class="list" aria-label={words.title}>
        <thead>
          <tr>
            <th>{columns.sensor}</th>
            <th>{columns.edge}</th>
            <th>{columns.state}</th>
            <th class="right">{columns.stage}</th>
            <th class="right">{columns.before}</th>
            <th class="right">{columns.after}</th>
            <th class="right">{columns.limit}</th>
            <th>{columns.reason}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((each) => (
            <MemberRow key={each.sensor} member={each} />
          ))}
        </tbody>
      </table>
      {!items.length && !failure && <p class="empty">{words.none}</p>}
      {!all && (
        <div class="more">
          <button class="plain" onClick={() => unfold(pages + 1)}>
            {words.more}
          </button>
        </div>
      )}
    </section>
  );
}

function MemberRow({ member }: { member: Member }) {
  const wrong = member.failure !== null || WRONG.has(member.state);
  const why = [member.failure && words.failures[member.failure], member.reason].filter(Boolean).join(": ");
  return (
    <tr class={member.state === "waiting" ? "calm" : ""}>
      <td class="strong">
        <a href={`#/sensors/${encodeURIComponent(member.sensor)}`}>{member.sensor}</a>
      </td>
      <td>{member.edge}</td>
      <td class={wrong ? "wrong nowrap" : "nowrap"}>
        {wrong && <Mark />} {words.states[member.state]}
      </td>
      <td class="right">{member.stage === null ? text.nothing : member.stage + 1}</td>
      <td class="right">{plain(member.before?.rms, 3)}</td>
      <td class="right">{plain(member.after?.rms, 3)}</td>
      <td class="right">{plain(member.after?.limit || member.before?.limit, 3)}</td>
      <td class="words">{why}</td>
    </tr>
  );
}
