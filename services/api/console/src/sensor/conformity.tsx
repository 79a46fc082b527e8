import type { ComponentChildren } from "preact";
import type { Calibration } from "../ask/findings";
import { plain } from "../format";
import { Bar } from "../parts/bar";
import { Mark } from "../parts/tile";
import { text } from "../text";

const WHITE = 0.01;

/** Whether a model leaves something unexplained, in words. */
export function residuals(p: number | null): ComponentChildren {
  if (p === null) return text.sensor.notTested;
  if (p >= WHITE) return text.sensor.white(plain(p, 2));
  return (
    <span class="wrong">
      <Mark /> {text.sensor.coloured(plain(p, 2))}
    </span>
  );
}

/** Deviations from the reference: uncorrected, with the coefficients of before, and with the new ones. */
export function Deviations({ conformity, unitName }: { conformity: NonNullable<Calibration["conformity"]>; unitName: string }) {
  const rows = (["raw", "as_found", "as_left"] as const).map((key) => ({ key, ...conformity[key] }));
  const most = Math.max(...rows.map((row) => row.rms ?? 0)) || 1;
  return (
    <table class="list deviations bars" aria-label={text.sensor.conformity}>
      <caption>{text.sensor.conformity}</caption>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key}>
            <td>{text.sensor.deviation[row.key]}</td>
            <td class="right figures-cell">
              {plain(row.rms, 3)} {unitName}
            </td>
            <td class="bar-cell">
              <Bar share={(row.rms ?? 0) / most} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
