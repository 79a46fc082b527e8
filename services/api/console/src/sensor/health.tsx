import type { Health, Sensor } from "../api";
import { day, instant, ms, percent } from "../format";
import { useModel } from "../hooks";
import { type Fact, FactList } from "../parts/facts";
import { Mark } from "../parts/tile";
import { parameterText, text } from "../text";

const words = text.health;
const sign = (p: number): string => `${Math.round(100 * p)} %`;

/** What calibration says of the sensor: drift and its cause, conformity with the tolerance, and what is to come. */
export function HealthPanel({ sensor }: { sensor: Sensor }) {
  const model = useModel();
  const { health } = sensor;
  if (!health) return null;
  const over = model.now() * 1e6 > health.holds_until_ns;
  return (
    <section class={`panel ${over ? "old" : ""} ${health.conformity.length ? "wide" : ""}`}>
      <h2>{words.title}</h2>
      {over && (
        <p class="wrong">
          <Mark /> {words.stale}
        </p>
      )}
      <FactList facts={facts(health)} />
      {health.conformity.length > 0 && <Conformity health={health} />}
    </section>
  );
}

function facts(health: Health): Fact[] {
  const found: Fact[] = [
    [words.watch[health.watch], `${text.sensor.since(instant(ms(health.since_ns)))}${health.reason ? `: ${health.reason}` : ""}`],
    [words.informed, health.informed_ns === null ? words.never : instant(ms(health.informed_ns))],
  ];
  if (health.parameter) {
    found.push([parameterText[health.parameter]?.symbol ?? health.parameter, percent(health.change, health.u_change)]);
  }
  const told = health.attribution;
  if (told) {
    found.push([
      words.cause,
      <>
        {words.causes[told.cause] ?? told.cause}
        <div class="muted">{words.probabilities(sign(told.sensor), sign(told.reference), sign(told.process), sign(told.nothing))}</div>
      </>,
    ]);
  }
  return found;
}

function Conformity({ health }: { health: Health }) {
  return (
    <table class="list">
      <thead>
        <tr>
          <th>{words.parameter}</th>
          <th class="right">{words.change}</th>
          <th class="right">{words.tolerance}</th>
          <th>{words.verdict}</th>
          <th>{words.leaves}</th>
        </tr>
      </thead>
      <tbody>
        {health.conformity.map((part) => {
          const outlook = health.outlook.find((each) => each.parameter === part.parameter);
          return (
            <tr key={part.parameter}>
              <td>{parameterText[part.parameter]?.symbol ?? part.parameter}</td>
              <td class="right figures-cell">{percent(part.change, part.u)}</td>
              <td class="right">±{percent(part.tolerance).replace("+", "")}</td>
              <td class={part.verdict === "fails" ? "wrong" : ""}>
                {part.verdict === "fails" && <Mark />} {words.verdicts[part.verdict]}
              </td>
              <td>{outlook ? leaves(outlook) : text.nothing}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function leaves(outlook: Health["outlook"][number]): string {
  if (outlook.early_ns === null) return words.never_;
  return outlook.late_ns === null ? words.after(day(ms(outlook.early_ns))) : words.between(day(ms(outlook.early_ns)), day(ms(outlook.late_ns)));
}
