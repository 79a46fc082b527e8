import { useState } from "preact/hooks";
import { getPolicy, type Mode, type Policy, putPolicy, removePolicy } from "../ask/lifecycle";
import { plain, span } from "../format";
import { useAnswer } from "../hooks";
import { Doing, Reason } from "../access/doing";
import { parameterText, text } from "../text";
import { lifecycleText } from "../text-lifecycle";

const words = lifecycleText.policyDialog;
const MODES: Mode[] = ["automatic", "within_bounds", "approval"];
const MINUTE_S = 60;

const symbol = (parameter: string): string => parameterText[parameter]?.symbol ?? parameter;

/** A policy in words. */
export function policyWords(policy: Policy | null): string {
  if (!policy) return lifecycleText.noPolicy;
  const bounds = Object.entries(policy.max_parameter_change).map(([parameter, bound]) => `${symbol(parameter)} ±${plain(100 * bound, 3)} %`);
  if (policy.max_response_change !== null) bounds.push(`${words.responseShort} ±${plain(100 * policy.max_response_change, 3)} %`);
  const trial = policy.shadow_s > 0 ? `, ${lifecycleText.onTrial(span(policy.shadow_s))}` : "";
  return `${lifecycleText.policies[policy.mode]}${bounds.length ? ` (${bounds.join(", ")})` : ""}${trial}`;
}

interface Props {
  sensor: string;
  parameters: string[];
  close: () => void;
  done: (what: string) => void;
}

/** Say who releases the sets of a sensor: what is there is read first, and changed only if nobody else has meanwhile. */
export function PolicyDialog(props: Props) {
  const { answer, error } = useAnswer(async () => ({ found: await getPolicy(props.sensor) }), [props.sensor]);
  if (answer) return <Form {...props} policy={answer.found?.value ?? null} tag={answer.found?.tag ?? ""} />;
  return (
    <Doing title={words.title(props.sensor)} note={error ? text.failed(error.message) : text.loading} go={words.go} ready={false} close={props.close} act={async () => {}} />
  );
}

/** A bound in per cent as a share; undefined for none, null for what is none. */
function share(given: string): number | null | undefined {
  if (!given.trim()) return undefined;
  const value = Number(given.replace(",", ".")) / 100;
  return value > 0 && value <= 10 ? value : null;
}

const shown = (bound: number | null | undefined): string => (bound ? String(Number((100 * bound).toPrecision(6))) : "");

function Form({ sensor, parameters, policy, tag, close, done }: Props & { policy: Policy | null; tag: string }) {
  const [mode, setMode] = useState<Mode | "none">(policy?.mode ?? "none");
  const [bounds, setBounds] = useState<Record<string, string>>(() =>
    Object.fromEntries(Object.entries(policy?.max_parameter_change ?? {}).map(([name, bound]) => [name, shown(bound)])),
  );
  const [response, setResponse] = useState(shown(policy?.max_response_change));
  const [trial, setTrial] = useState(policy ? String(policy.shadow_s / MINUTE_S) : "0");
  const [reason, setReason] = useState("");
  const names = [...new Set([...parameters, ...Object.keys(bounds)])];
  const given = names.map((each) => [each, share(bounds[each] ?? "")] as const);
  const ofResponse = share(response);
  const bounded = mode === "within_bounds";
  const wrong = bounded && (ofResponse === null || given.some(([, bound]) => bound === null));
  const none = bounded && ofResponse === undefined && given.every(([, bound]) => bound === undefined);
  const trialS = Number(trial) * MINUTE_S;
  const ready = reason.trim() !== "" && !wrong && !none && trialS >= 0 && trialS <= 30 * 86_400 && (mode !== "none" || policy !== null);
  const act = async () => {
    if (mode === "none") await removePolicy(sensor, reason.trim(), tag);
    else {
      const change = Object.fromEntries(bounded ? given.flatMap(([each, bound]) => (bound ? [[each, bound]] : [])) : []);
      const wanted: Policy = { mode, max_parameter_change: change, max_response_change: (bounded && ofResponse) || null, shadow_s: trialS };
      await putPolicy(sensor, wanted, reason.trim(), tag);
    }
    done(words.done);
  };
  const field = (label: string, value: string, set: (value: string) => void, id: string) => (
    <>
      <label for={id}>{label}</label>
      <input id={id} type="text" inputMode="decimal" value={value} onInput={(event) => set(event.currentTarget.value)} />
    </>
  );
  return (
    <Doing title={words.title(sensor)} note={words.note} go={words.go} ready={ready} close={close} act={act}>
      <label class="field">
        {words.mode}
        <select value={mode} onChange={(event) => setMode(event.currentTarget.value as Mode | "none")}>
          <option value="none">{lifecycleText.noPolicy}</option>
          {MODES.map((each) => (
            <option key={each} value={each}>
              {lifecycleText.policies[each]}
            </option>
          ))}
        </select>
      </label>
      {bounded && (
        <fieldset class="policy-bounds">
          <legend>{words.bounds}</legend>
          {names.map((each, k) => field(symbol(each), bounds[each] ?? "", (value) => setBounds({ ...bounds, [each]: value }), `bound-${k}`))}
          {field(words.response, response, setResponse, "bound-response")}
        </fieldset>
      )}
      {(wrong || none) && <p class="wrong">{wrong ? words.wrong : words.needed}</p>}
      {mode !== "none" && (
        <label class="field">
          {words.trial}
          <input type="number" min={0} max={43_200} step="any" value={trial} onInput={(event) => setTrial(event.currentTarget.value)} />
        </label>
      )}
      <Reason value={reason} set={setReason} />
    </Doing>
  );
}
