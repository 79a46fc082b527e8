import { useState } from "preact/hooks";
import { type FoundTopic, listen, type Section } from "../ask/commissioning";
import { text } from "../text";
import { ofTopic, type Pick } from "./picks";

const words = text.commissioning;
const SECONDS = 5;

interface Props {
  edge: string;
  picks: Pick[];
  toggle: (pick: Pick) => void;
}

/** A broker as the edge hears it: which topics come, and what of their messages is the value and its time. */
export function Broker({ edge, picks, toggle }: Props) {
  const [own, setOwn] = useState(true);
  const [host, setHost] = useState("");
  const [port, setPort] = useState("1883");
  const [filter, setFilter] = useState("#");
  const [found, set] = useState<{ topics: FoundTopic[]; more: boolean } | null>(null);
  const [failure, fail] = useState("");
  const [busy, setBusy] = useState(false);
  const broker: Section | null = own ? null : { host, port: Number(port) };
  const ask = async () => {
    setBusy(true);
    fail("");
    try {
      set(await listen(edge, broker, filter, SECONDS));
    } catch (error) {
      fail((error as Error).message);
    }
    setBusy(false);
  };
  return (
    <>
      <form
        class="asking"
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <label class="field">
          {words.kinds.mqtt}
          <select value={own ? "own" : "other"} aria-label={words.kinds.mqtt} onChange={(event) => setOwn(event.currentTarget.value === "own")}>
            <option value="own">{words.ownBroker}</option>
            <option value="other">{words.otherBroker}</option>
          </select>
        </label>
        {!own && (
          <>
            <label class="field">
              {words.host}
              <input type="text" required value={host} onInput={(event) => setHost(event.currentTarget.value)} />
            </label>
            <label class="field narrow">
              {words.port}
              <input type="text" inputMode="numeric" pattern="\d{1,5}" value={port} onInput={(event) => setPort(event.currentTarget.value)} />
            </label>
          </>
        )}
        <label class="field wide">
          {words.filter}
          <input type="text" required value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
        </label>
        <button class="plain main" type="submit" disabled={busy}>
          {busy ? words.listening : words.listen}
        </button>
      </form>
      {failure && <p class="failure">{failure}</p>}
      {found && !found.topics.length && <p class="muted note">{words.empty}</p>}
      {found && found.topics.length > 0 && (
        <div class="scroll topics" tabIndex={0} role="region" aria-label={words.found}>
          <table class="list">
            <thead>
              <tr>
                <th scope="col" class="pick">
                  <span class="hidden">{words.choose}</span>
                </th>
                {Object.values(words.topics).map((column) => (
                  <th key={column} scope="col">
                    {column}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {found.topics.map((topic) => (
                <Topic key={topic.topic} broker={broker} topic={topic} picks={picks} toggle={toggle} />
              ))}
            </tbody>
          </table>
          {found.more && <p class="muted note">{words.cut}</p>}
        </div>
      )}
    </>
  );
}

function Topic({ broker, topic, picks, toggle }: { broker: Section | null; topic: FoundTopic; picks: Pick[]; toggle: (pick: Pick) => void }) {
  const values = topic.numbers.filter((each) => !topic.times.some((time) => time.place === each.place));
  const choices = values.length ? values : topic.numbers;
  const [value, setValue] = useState(choices[0]?.place ?? "");
  const [time, setTime] = useState(topic.times[0]?.place ?? "");
  const pick = ofTopic(broker, topic, value, time, SECONDS);
  return (
    <tr class={choices.length ? "" : "calm"}>
      <td class="pick">
        <input
          type="checkbox"
          disabled={!choices.length}
          checked={picks.some((each) => each.key === pick.key)}
          aria-label={words.pick(topic.topic)}
          onChange={() => toggle(pick)}
        />
      </td>
      <th scope="row">{topic.topic}</th>
      <td>{topic.n_messages}</td>
      <td>
        <code class="clip" title={topic.payload}>
          {topic.payload}
        </code>
      </td>
      <td>
        {choices.length > 1 ? (
          <select value={value} aria-label={`${words.topics.value}, ${topic.topic}`} onChange={(event) => setValue(event.currentTarget.value)}>
            {choices.map((each) => (
              <option key={each.place} value={each.place}>
                {each.place}
              </option>
            ))}
          </select>
        ) : (
          (choices[0]?.place ?? words.unreadable) || choices[0]?.value
        )}
      </td>
      <td>
        {topic.times.length ? (
          <select value={time} aria-label={`${words.topics.time}, ${topic.topic}`} onChange={(event) => setTime(event.currentTarget.value)}>
            {topic.times.map((each) => (
              <option key={each.place} value={each.place}>
                {each.place}
              </option>
            ))}
            <option value="">{words.arrival}</option>
          </select>
        ) : (
          <span class="muted">{words.arrival}</span>
        )}
      </td>
    </tr>
  );
}
