import { useMemo, useState } from "preact/hooks";
import { applies, choose, type Group, inGroup } from "../alarms/choose";
import { useCommands } from "../alarms/commanding";
import { AlarmDetail, Changes } from "../alarms/detail";
import { Kpis } from "../alarms/kpis";
import { AlarmList } from "../alarms/list";
import { type Alarm, getAlarmHistory, type Verb } from "../ask/alarms";
import { instant, ms } from "../format";
import { useAnswer, useModel, useSlowly } from "../hooks";
import type { model as Model } from "../model";
import { Mark } from "../parts/tile";
import { Needs } from "../parts/who";
import { text } from "../text";
import { useMay } from "../who";

const words = text.alarms;
const GROUPS: Group[] = ["standing", "waiting", "aside"];
const HISTORY_MS = 3000;

export function Alarms({ route }: { route: string }) {
  const figures = route === "/alarms/figures";
  return (
    <main class="page alarms" id="main" tabIndex={-1}>
      <div class="bar">
        <h1>{words.title}</h1>
        <nav class="tabs" aria-label={words.title}>
          <a href="#/alarms" aria-current={figures ? undefined : "page"}>
            {words.list}
          </a>
          <a href="#/alarms/figures" aria-current={figures ? "page" : undefined}>
            {words.kpis}
          </a>
        </nav>
      </div>
      {figures ? <Kpis /> : <Lists />}
    </main>
  );
}

function Lists() {
  const model = useModel();
  const [group, setGroup] = useState<Group>("standing");
  const [filter, setFilter] = useState("");
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [opened, open] = useState<string | null>(null);
  const [held, hold] = useState<string[] | null>(null);
  const commands = useCommands(() => setPicked(new Set()));

  const shown = useMemo(() => choose(model.alarms.values(), group, filter), [model.alarming, group, filter]);
  // A list that is held keeps its rows and their order; what they say goes on changing.
  const alarms = held ? held.flatMap((id) => model.alarms.get(id) ?? []) : shown;
  const nNew = held ? shown.filter((alarm) => !held.includes(alarm.id)).length : 0;
  const chosen = [...picked].flatMap((id) => model.alarms.get(id) ?? []);
  const pick = (id: string, on: boolean) =>
    setPicked((before) => {
      const next = new Set(before);
      if (on) next.add(id);
      else next.delete(id);
      return next;
    });
  const detail = opened === null ? undefined : model.alarms.get(opened);
  return (
    <>
      <Flood model={model} />
      <section class="panel alarm-panel">
        <div class="panel-head">
          <h2>{words.active}</h2>
          <Groups model={model} group={group} choose={(next) => (setGroup(next), hold(null))} />
          <input
            type="search"
            value={filter}
            placeholder={words.filter}
            aria-label={words.filter}
            onInput={(event) => (setFilter(event.currentTarget.value), hold(null))}
          />
          <button class="plain" aria-pressed={held !== null} onClick={() => hold(held ? null : shown.map((alarm) => alarm.id))}>
            {held ? words.held(nNew) : words.hold}
          </button>
          <span class="muted" role="status">
            {words.count(alarms.length, [...model.alarms.values()].filter((alarm) => alarm.state !== "normal").length)}
          </span>
        </div>
        {alarms.length > 0 && (
          <Actions
            chosen={chosen}
            all={alarms}
            pickAll={() => setPicked(new Set(alarms.map((alarm) => alarm.id)))}
            pickNone={() => setPicked(new Set())}
            act={(verb) => commands.act(verb, chosen)}
            busy={commands.busy}
          />
        )}
        <p class={commands.said?.wrong ? "said wrong" : "said"} role="status">
          {commands.said?.wrong && <Mark />} {commands.said?.words}
        </p>
        {alarms.length ? (
          <AlarmList
            alarms={alarms}
            now={model.now()}
            selected={picked}
            select={pick}
            act={(verb, alarm) => commands.act(verb, picked.has(alarm.id) ? chosen : [alarm])}
            open={open}
          />
        ) : (
          <p class="empty">{!model.alarmsLoaded ? text.loading : group === "standing" && !filter ? words.none : words.noneShown}</p>
        )}
      </section>
      <RecentHistory alarming={model.alarming} />
      {detail && !commands.dialog && <AlarmDetail key={detail.id} alarm={detail} close={() => open(null)} act={(verb) => commands.act(verb, [detail])} />}
      {commands.dialog}
    </>
  );
}

function Flood({ model }: { model: typeof Model }) {
  const { flood } = model;
  if (!flood?.active) return null;
  const heldBack = Object.values(flood.n_held_back).reduce((sum, n) => sum + n, 0);
  return (
    <p class="flood" role="status">
      <Mark /> <strong>{words.flood(instant(ms(flood.began_ns ?? 0)), flood.n_alarms)}</strong> {heldBack > 0 && words.heldBack(heldBack)}
    </p>
  );
}

function Groups({ model, group, choose: chosen }: { model: typeof Model; group: Group; choose: (group: Group) => void }) {
  const counts = useMemo(() => {
    const all = [...model.alarms.values()];
    return Object.fromEntries(GROUPS.map((each) => [each, all.filter((alarm) => inGroup(alarm, each)).length]));
  }, [model.alarming]);
  return (
    <div class="segments" role="group" aria-label={words.columns.state}>
      {GROUPS.map((each) => (
        <button key={each} aria-pressed={group === each} onClick={() => chosen(each)}>
          {words.groups[each]} <span class="n">{counts[each]}</span>
        </button>
      ))}
    </div>
  );
}

const VERBS: Verb[] = ["acknowledge", "shelve", "comment", "reset", "unshelve", "suppress", "unsuppress", "take_out_of_service", "return_to_service"];
/** Always in sight; the others only where they can do something. */
const COMMON = new Set<Verb>(["acknowledge", "shelve", "comment"]);

interface ActionsProps {
  chosen: Alarm[];
  all: Alarm[];
  pickAll: () => void;
  pickNone: () => void;
  act: (verb: Verb) => void;
  busy: boolean;
}

function Actions({ chosen, all, pickAll, pickNone, act, busy }: ActionsProps) {
  if (!useMay("operator")) return <Needs role="operator" />;
  return (
    <div class="alarm-actions" role="toolbar" aria-label={words.selected(chosen.length)}>
      <button class="plain" onClick={chosen.length === all.length ? pickNone : pickAll}>
        {chosen.length === all.length ? words.selectNone : words.selectAll}
      </button>
      <span class="muted">{words.selected(chosen.length)}</span>
      {VERBS.filter((verb) => COMMON.has(verb) || chosen.some((alarm) => applies(verb, alarm))).map((verb) => (
        <button
          key={verb}
          class={verb === "acknowledge" ? "plain main" : "plain"}
          disabled={busy || !chosen.some((alarm) => applies(verb, alarm))}
          onClick={() => act(verb)}
        >
          {words.verbs[verb]}
        </button>
      ))}
    </div>
  );
}

function RecentHistory({ alarming }: { alarming: number }) {
  const slowly = useSlowly(alarming, HISTORY_MS);
  const history = useAnswer(() => getAlarmHistory({ limit: 100 }), [slowly]);
  return (
    <section class="panel">
      <h2>{words.history}</h2>
      {history.answer?.items.length ? (
        <div class="scroll history" tabIndex={0} role="group" aria-label={words.history}>
          <Changes changes={history.answer.items} sources />
        </div>
      ) : (
        <p class="empty">{history.error ? text.failed(history.error.message) : history.answer ? words.noHistory : text.loading}</p>
      )}
    </section>
  );
}
