import { useState } from "preact/hooks";
import { type Clock, type Edge, getSystem, type Outlet, type System as Facts } from "../ask/operations";
import { bytes, count, instant, ms, plain, span } from "../format";
import { useModel, useRepeated } from "../hooks";
import { FactList } from "../parts/facts";
import { Mark } from "../parts/tile";
import { clockText, messageText, partText, text } from "../text";

const AGAIN_MS = 5_000;

export function System() {
  const model = useModel();
  const [facts, setFacts] = useState<Facts | null>(null);
  const failure = useRepeated(AGAIN_MS, getSystem, setFacts);
  const words = text.system;
  if (!facts) {
    return (
      <main class="page" id="main" tabIndex={-1}>
        <div class="bar">
          <h1>{words.title}</h1>
        </div>
        <p class="empty">{failure ? text.failed(failure) : text.loading}</p>
      </main>
    );
  }
  const old = !model.connected || failure !== "";
  return (
    <main class={old ? "page system old" : "page system"} id="main" tabIndex={0}>
      <div class="bar">
        <h1>{words.title}</h1>
        <span class={facts.ready ? "muted" : "wrong"} role="status">
          {!facts.ready && <Mark />} {facts.ready ? words.ready : words.notReady}
        </span>
        {old && (
          <span class="stale-mark">
            {text.asReceived} {instant(ms(facts.now_ns))}
          </span>
        )}
      </div>
      <div class="panels">
        <section class="panel">
          <h2>{words.parts}</h2>
          <FactList
            facts={Object.entries(facts.parts).map(([part, fault]) => [
              partText[part] ?? part,
              fault ? (
                <span class="wrong">
                  <Mark /> {fault}
                </span>
              ) : (
                words.works
              ),
            ])}
          />
        </section>
        <section class="panel">
          <h2>{words.process}</h2>
          <FactList
            facts={[
              [words.version, facts.version || text.nothing],
              [words.apiVersion, facts.api_version],
              [words.started, facts.started_ns === null ? text.nothing : instant(ms(facts.started_ns))],
              [words.cpu, facts.cpu_s === null ? text.nothing : `${plain(facts.cpu_s, 4)} s`],
              [words.memory, facts.memory_bytes === null ? text.nothing : bytes(facts.memory_bytes)],
              [words.requests, count(facts.requests.answered)],
              [words.refused, count(facts.requests.refused)],
              [words.faults, wrongIf(facts.requests.failed)],
            ]}
          />
        </section>
        <section class="panel">
          <h2>{words.streams}</h2>
          <FactList
            facts={[
              [words.clients, `${facts.streams.clients} / ${facts.streams.most_clients}`],
              [words.frames, count(facts.streams.frames)],
              [words.dropped, wrongIf(facts.streams.dropped)],
              [words.cut, wrongIf(facts.streams.cut)],
            ]}
          />
        </section>
        <section class="panel">
          <h2>{words.bus}</h2>
          <table class="list">
            <thead>
              <tr>
                <th>{words.kind}</th>
                <th class="right">{words.taken}</th>
                <th class="right">{words.rejected}</th>
              </tr>
            </thead>
            <tbody>
              {facts.messages.map((each) => (
                <tr key={each.kind}>
                  <td>{messageText[each.kind] ?? each.kind}</td>
                  <td class="right">{count(each.taken)}</td>
                  <td class="right">{wrongIf(each.rejected)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
        <Edges edges={facts.edges} />
        <Outlets outlets={facts.outlets} />
      </div>
    </main>
  );
}

function wrongIf(n: number) {
  return n ? (
    <span class="wrong">
      <Mark /> {count(n)}
    </span>
  ) : (
    "0"
  );
}

/** Who is told of alarms elsewhere; those that fail first. */
function Outlets({ outlets }: { outlets: Facts["outlets"] }) {
  const words = text.system.outlets;
  const fails = (each: Outlet) => each.fault !== "" || each.state === "disabled";
  const sorted = [...outlets].sort((a, b) => Number(fails(b)) - Number(fails(a)));
  return (
    <section class="panel wide">
      <h2>{words.title}</h2>
      {sorted.length === 0 ? (
        <p class="empty">{words.none}</p>
      ) : (
        <table class="list">
          <thead>
            <tr>
              <th>{words.name}</th>
              <th>{words.way}</th>
              <th>{words.where}</th>
              <th>{words.state}</th>
              <th class="right">{words.waiting}</th>
              <th>{words.oldest}</th>
              <th class="right">{words.delivered}</th>
              <th class="right">{words.givenUp}</th>
            </tr>
          </thead>
          <tbody>
            {sorted.map((each) => (
              <tr key={each.name}>
                <td class="strong">{each.name}</td>
                <td>{words.ways[each.way]}</td>
                <td>{each.where}</td>
                <td>
                  {fails(each) ? (
                    <span class="wrong">
                      <Mark /> {words.states[each.state]}
                      {each.fault && `: ${each.fault}`}
                    </span>
                  ) : (
                    words.states[each.state]
                  )}
                </td>
                <td class="right">{count(each.n_waiting + each.n_unread)}</td>
                <td class="instant">{each.oldest_ns === null ? text.nothing : instant(ms(each.oldest_ns))}</td>
                <td class="right">{each.way === "opcua" ? text.nothing : count(each.n_delivered)}</td>
                <td class="right">{wrongIf(each.n_given_up)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** How a clock stands, and who says so. What it is in doubt of has a mark only where somebody's time stamps rest on it. */
function ClockOf({ edge }: { edge: Edge }) {
  const { clock } = edge;
  if (!clock) {
    return <>{edge.u_clock_ns === null ? text.system.unknownClock : `u = ${span(edge.u_clock_ns / 1e9)}`}</>;
  }
  const said = `${clockText[clock.state] ?? clock.state}, u = ${span(clock.u_ns / 1e9)}${teller(clock)}`;
  if (clock.good || clock.n_stamped === 0) {
    return <>{said}</>;
  }
  return (
    <span class="wrong">
      <Mark /> {said}
    </span>
  );
}

const teller = ({ source, reference }: Clock) => (source ? ` (${source}${reference ? `: ${reference}` : ""})` : "");

function Edges({ edges }: { edges: Facts["edges"] }) {
  const { columns } = text.system;
  // Those that need somebody first.
  const sorted = [...edges].sort((a, b) => Number(a.online) - Number(b.online) || (a.edge < b.edge ? -1 : 1));
  return (
    <section class="panel wide">
      <h2>{text.system.edges}</h2>
      {sorted.length === 0 ? (
        <p class="empty">{text.system.noEdges}</p>
      ) : (
        <table class="list">
          <thead>
            <tr>
              <th>{columns.edge}</th>
              <th>{columns.site}</th>
              <th>{columns.state}</th>
              <th>{columns.since}</th>
              <th class="right">{columns.sensors}</th>
              <th>{columns.version}</th>
              <th>{columns.clock}</th>
              <th class="right">{columns.stamped}</th>
            </tr>
          </thead>
          <tbody>
            {sorted.map((edge) => (
              <tr key={edge.edge}>
                <td class="strong">{edge.edge}</td>
                <td>{edge.site}</td>
                <td>
                  {edge.online ? (
                    text.sensor.online
                  ) : (
                    <span class="wrong">
                      <Mark /> {text.sensor.offline}
                    </span>
                  )}
                </td>
                <td class="instant">{instant(ms(edge.since_ns))}</td>
                <td class="right">{edge.n_sensors}</td>
                <td>{edge.version}</td>
                <td>
                  <ClockOf edge={edge} />
                </td>
                <td class="right">{edge.clock?.n_stamped ?? text.nothing}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
