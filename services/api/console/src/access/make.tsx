import { useRef, useState } from "preact/hooks";
import { addKey, type NewKey } from "../ask/access";
import { useModel } from "../hooks";
import { Dialog } from "../parts/dialog";
import { text } from "../text";
import type { Role } from "../who";
import { Doing, Reason } from "./doing";
import { PEOPLE, RoleField } from "./role";

const words = text.people.keys;
const YEAR = 2;

type Reach = keyof typeof words.reaches;

const named = (given: string): string[] => [...new Set(given.split(/[\s,;]+/).filter(Boolean))];

interface Props {
  close: () => void;
  done: (key: string) => void;
}

/** Ask what a key is for, and make it. */
export function Make({ close, done }: Props) {
  const model = useModel();
  const [label, setLabel] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [reach, setReach] = useState<Reach>("all");
  const [names, setNames] = useState("");
  const [edge, setEdge] = useState("");
  const [expires, setExpires] = useState<number>(words.times[YEAR]!.seconds);
  const [reason, setReason] = useState("");
  const sensors = [...model.sensors.values()];
  const edges = [...new Set(sensors.map((each) => each.edge))].sort();
  const confinable = role !== "edge" && role !== "admin";
  const chosen = confinable && reach !== "all" ? named(names) : null;
  const known = new Set(reach === "edges" ? edges : sensors.map((each) => each.id));
  const unknown = chosen?.filter((each) => !known.has(each)) ?? [];
  const ready = label.trim() !== "" && (role !== "edge" || edge.trim() !== "") && (chosen === null || chosen.length > 0);
  const act = async () => {
    const wanted: NewKey = {
      label: label.trim(),
      role,
      edge: role === "edge" ? edge.trim() : null,
      edges: reach === "edges" ? chosen : null,
      sensors: reach === "sensors" ? chosen : null,
      expires_s: expires || null,
    };
    done((await addKey(wanted, reason.trim())).text);
  };
  return (
    <Doing title={words.addTitle} note="" go={words.make} ready={ready} close={close} act={act}>
      <label class="field">
        {words.label}
        <input type="text" maxLength={200} value={label} onInput={(event) => setLabel(event.currentTarget.value)} />
      </label>
      <RoleField roles={[...PEOPLE, "edge"]} value={role} set={setRole} />
      {role === "edge" && (
        <label class="field">
          {words.whichEdge}
          <input type="text" list="edges-known" maxLength={128} value={edge} onInput={(event) => setEdge(event.currentTarget.value)} />
          <datalist id="edges-known">
            {edges.map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
        </label>
      )}
      {confinable && (
        <label class="field">
          {words.reach}
          <select value={reach} onChange={(event) => setReach(event.currentTarget.value as Reach)}>
            {Object.entries(words.reaches).map(([each, what]) => (
              <option key={each} value={each}>
                {what}
              </option>
            ))}
          </select>
        </label>
      )}
      {chosen !== null && (
        <label class="field">
          {reach === "edges" ? words.whichEdges : words.whichSensors}
          <textarea rows={2} value={names} onInput={(event) => setNames(event.currentTarget.value)} />
          {unknown.length > 0 && <span class="wrong">{words.unknown(unknown.slice(0, 5).join(", "))}</span>}
        </label>
      )}
      <label class="field">
        {words.expires}
        <select value={String(expires)} onChange={(event) => setExpires(Number(event.currentTarget.value))}>
          {words.times.map(({ label: when, seconds }) => (
            <option key={seconds} value={String(seconds)}>
              {when}
            </option>
          ))}
        </select>
      </label>
      <Reason value={reason} set={setReason} />
    </Doing>
  );
}

/** The key, this once. */
export function Made({ text: key, close }: { text: string; close: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const [said, say] = useState("");
  const copy = async () => {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(key);
      say(words.copied);
    } catch {
      say(words.notCopied); // not over plain http from another machine, or not allowed
    }
  };
  return (
    <Dialog title={words.madeTitle} close={close}>
      <p>{words.madeNote}</p>
      <label class="field">
        {words.text}
        <input type="text" class="made" ref={field} readOnly value={key} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <p role="status" class="muted">
        {said}
      </p>
      <div class="actions">
        <button class="plain" onClick={() => void copy()}>
          {words.copy}
        </button>
        <button class="plain main" onClick={close}>
          {words.kept}
        </button>
      </div>
    </Dialog>
  );
}
