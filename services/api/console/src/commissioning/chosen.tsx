import { modelText, text } from "../text";
import { faults, type Pick } from "./picks";

const words = text.commissioning;
const MODELS = ["first_order", "second_order", "lead_lag", "static"] as const;

interface Props {
  picks: Pick[];
  /** Names that are taken. */
  known: ReadonlySet<string>;
  /** Sensors that are there already: references, if one likes. */
  there: ReadonlyMap<string, { unit: string }>;
  change: (key: string, changes: Partial<Pick>) => void;
  remove: (key: string) => void;
}

/** What was picked, to be named and paired. */
export function Chosen({ picks, known, there, change, remove }: Props) {
  const others = (pick: Pick) => picks.filter((each) => each.key !== pick.key && each.sensor).map((each) => each.sensor);
  return (
    <div class="scroll chosen" tabIndex={0} role="region" aria-label={words.picked}>
      <table class="list">
        <thead>
          <tr>
            {Object.entries(words.columns).map(([key, column]) => (
              <th key={key} scope="col">
                {column || <span class="hidden">{words.removeShort}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {picks.map((pick) => {
            const wrong = faults(pick, picks, known, there);
            const input = (column: "sensor" | "label" | "unit" | "dt") => (
              <input
                type="text"
                value={pick[column]}
                aria-label={`${words.columns[column]}, ${pick.from}`}
                aria-invalid={wrong[column] !== undefined}
                title={wrong[column]}
                class={`in-${column}`}
                onInput={(event) => change(pick.key, { [column]: event.currentTarget.value })}
              />
            );
            return (
              <tr key={pick.key}>
                <td>
                  {input("sensor")}
                  {wrong["sensor"] && <p class="fault">{wrong["sensor"]}</p>}
                </td>
                <td>{input("label")}</td>
                <td>
                  {input("unit")}
                  {wrong["unit"] && <p class="fault">{wrong["unit"]}</p>}
                </td>
                <td>
                  {input("dt")}
                  {wrong["dt"] && <p class="fault">{wrong["dt"]}</p>}
                </td>
                <td>
                  <select
                    value={pick.reference}
                    aria-label={`${words.columns.reference}, ${pick.from}`}
                    aria-invalid={wrong["reference"] !== undefined}
                    onChange={(event) => change(pick.key, { reference: event.currentTarget.value })}
                  >
                    <option value="">{words.noReference}</option>
                    {[...new Set([...others(pick), ...there.keys()])].sort().map((each) => (
                      <option key={each}>{each}</option>
                    ))}
                  </select>
                  {wrong["reference"] && <p class="fault">{wrong["reference"]}</p>}
                </td>
                <td>
                  <select
                    value={pick.model}
                    disabled={!pick.reference}
                    aria-label={`${words.columns.model}, ${pick.from}`}
                    onChange={(event) => change(pick.key, { model: event.currentTarget.value })}
                  >
                    {MODELS.map((model) => (
                      <option key={model} value={model}>
                        {modelText[model]}
                      </option>
                    ))}
                  </select>
                </td>
                <td class="muted from">{pick.from}</td>
                <td>
                  <button class="plain" aria-label={words.remove(pick.sensor || pick.from)} onClick={() => remove(pick.key)}>
                    {words.removeShort}
                  </button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
