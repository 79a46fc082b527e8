import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api";
import { type Edge, getEdges, getSources, putSources, type Section, type Sources } from "../ask/commissioning";
import { Broker } from "../commissioning/broker";
import { Chosen } from "../commissioning/chosen";
import { faults, type Pick, sensorsOf, taken, without, withPicks } from "../commissioning/picks";
import { Progress } from "../commissioning/progress";
import { Server } from "../commissioning/server";
import { useModel, useRepeated } from "../hooks";
import { Needs } from "../parts/who";
import { text } from "../text";
import { useMay } from "../who";

const words = text.commissioning;
const AGAIN_MS = 5_000;
/** How often, and how many times, the edge's answer is looked for. */
const LOOK_MS = 1_000;
const MOST_LOOKS = 60;

/** From a server's nodes, or a broker's topics, to sensors with values, without a file. */
export function Commissioning() {
  const edges = useEdges();
  const [chosen, choose] = useState("");
  const edge = edges?.find((each) => each.edge === chosen && each.online)?.edge ?? edges?.find((each) => each.online)?.edge ?? "";
  return (
    <main class="page commissioning" id="main" tabIndex={-1}>
      <div class="bar">
        <h1>{words.title}</h1>
        {edge && (
          <label class="inline">
            {words.edge}
            <select value={edge} onChange={(event) => choose(event.currentTarget.value)}>
              {edges?.map((each) => (
                <option key={each.edge} value={each.edge} disabled={!each.online}>
                  {each.online ? each.edge : `${each.edge} (${words.offline})`}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      <p class="lead">{words.lead}</p>
      {!useMay("engineer") ? <Needs role="engineer" /> : edge ? <OnEdge key={edge} edge={edge} /> : <p class="empty">{edges ? words.noEdges : text.loading}</p>}
    </main>
  );
}

function useEdges(): Edge[] | null {
  const [edges, set] = useState<Edge[] | null>(null);
  useRepeated(AGAIN_MS, getEdges, ({ items }) => set(items));
  return edges;
}

/** What the edge said of the newest revision; nothing while it has said nothing. */
function answered({ reported, revision }: Sources): Sources["reported"] {
  return reported && reported.revision >= revision ? reported : null;
}

function OnEdge({ edge }: { edge: string }) {
  const model = useModel();
  const [sources, setSources] = useState<Sources | null>(null);
  const [kind, setKind] = useState<"opcua" | "mqtt">("opcua");
  const [picks, setPicks] = useState<Pick[]>([]);
  const [reason, setReason] = useState("");
  const [said, say] = useState<{ words: string; wrong: boolean }>({ words: "", wrong: false });
  const [busy, setBusy] = useState(false);
  const [fresh, setFresh] = useState<string[]>([]);
  const read = () => getSources(edge).then(setSources).catch((error: Error) => say({ words: error.message, wrong: true }));
  useEffect(() => void read(), []);
  const there = model.sensors;
  const known = taken(sources, edge, there);
  const ready = picks.length > 0 && picks.every((pick) => !Object.keys(faults(pick, picks, known, there)).length);
  const toggle = (pick: Pick) =>
    setPicks((before) => (before.some((each) => each.key === pick.key) ? before.filter((each) => each.key !== pick.key) : [...before, pick]));

  const send = async (next: { opcua: Section[]; mqtt: Section[] }, why: string): Promise<boolean> => {
    if (!sources) return false;
    setBusy(true);
    say({ words: words.applying, wrong: false });
    let applied = false;
    try {
      let put = await putSources(edge, sources, next.opcua, next.mqtt, why);
      for (let n = 0; n < MOST_LOOKS && !answered(put); n++) {
        say({ words: words.waiting(edge), wrong: false });
        await new Promise((resume) => setTimeout(resume, LOOK_MS));
        put = await getSources(edge);
      }
      const report = answered(put);
      if (report?.outcome === "rejected") {
        // It is not left behind as what the edge is to read: that would be said to it again and again.
        setSources(await putSources(edge, put, sources.opcua, sources.mqtt, text.commissioning.rejected(edge, "")));
        say({ words: words.rejected(edge, report.reason), wrong: true });
      } else {
        setSources(put);
        say({ words: report ? words.applied(edge, put.revision) : words.waiting(edge), wrong: false });
        applied = true;
      }
    } catch (error) {
      if (error instanceof ApiError && (error.status === 412 || error.status === 409)) {
        await read();
        say({ words: words.changed, wrong: true });
      } else say({ words: (error as Error).message, wrong: true });
    }
    setBusy(false);
    return applied;
  };

  const apply = async () => {
    if (!sources) return;
    const names = picks.map((pick) => pick.sensor);
    if (await send(withPicks(sources, picks), reason || words.commissioned(names.join(", ")))) {
      setFresh(names);
      setPicks([]);
      setReason("");
    }
  };

  return (
    <>
      <section class="panel">
        <h2>{words.source}</h2>
        <div class="tabs" role="group" aria-label={words.source}>
          {(["opcua", "mqtt"] as const).map((each) => (
            <button key={each} class="plain" aria-pressed={kind === each} onClick={() => setKind(each)}>
              {words.kinds[each]}
            </button>
          ))}
        </div>
        {kind === "opcua" ? <Server edge={edge} picks={picks} toggle={toggle} /> : <Broker edge={edge} picks={picks} toggle={toggle} />}
      </section>
      <section class="panel">
        <h2>{words.picked}</h2>
        {picks.length ? (
          <Chosen
            picks={picks}
            known={known}
            there={there}
            change={(key, changes) => setPicks((before) => before.map((each) => (each.key === key ? { ...each, ...changes } : each)))}
            remove={(key) => setPicks((before) => before.filter((each) => each.key !== key))}
          />
        ) : (
          <p class="muted">{words.nothingPicked}</p>
        )}
        {picks.length > 0 && (
          <div class="asking">
            <label class="field wide">
              {words.reason}
              <input type="text" value={reason} placeholder={words.reasonHint} onInput={(event) => setReason(event.currentTarget.value)} />
            </label>
            <button class="plain main" disabled={!ready || busy || !sources} onClick={() => void apply()}>
              {words.apply}
            </button>
          </div>
        )}
        <p class={said.wrong ? "failure" : "said"} role="status">
          {said.words}
        </p>
      </section>
      {fresh.length > 0 && <Progress sensors={fresh} />}
      <section class="panel">
        <h2>{words.standing}</h2>
        {sources?.reported?.outcome === "rejected" && !busy && !said.wrong && <p class="failure">{words.behind(edge, sources.reported.reason)}</p>}
        {sources && sensorsOf(sources).length ? (
          <table class="list">
            <tbody>
              {sensorsOf(sources).map(({ sensor, from }) => (
                <tr key={sensor}>
                  <th scope="row">
                    <a href={`#/sensors/${sensor}`}>{sensor}</a>
                  </th>
                  <td class="muted from">{from}</td>
                  <td class="right">
                    <button
                      class="plain"
                      disabled={busy}
                      aria-label={words.takeOut(sensor)}
                      onClick={() => void send(without(sources, sensor), words.takenOut(sensor))}
                    >
                      {words.takeOutShort}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : (
          <p class="muted">{sources ? words.standingNone : text.loading}</p>
        )}
      </section>
    </>
  );
}
