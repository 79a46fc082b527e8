import { useModel } from "../hooks";
import { StateBadge } from "../parts/state";
import { text } from "../text";

const words = text.commissioning;

/** What was commissioned just now: its values, and what calibration makes of it. */
export function Progress({ sensors }: { sensors: string[] }) {
  const model = useModel();
  return (
    <section class="panel">
      <h2>{words.progress}</h2>
      <table class="list" aria-live="polite">
        <thead>
          <tr>
            {Object.entries(words.progressColumns).map(([key, column]) => (
              <th key={key} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sensors.map((id) => {
            const sensor = model.sensors.get(id);
            const value = sensor?.latest?.raw;
            return (
              <tr key={id}>
                <th scope="row">{sensor ? <a href={`#/sensors/${id}`}>{id}</a> : id}</th>
                <td class="figures-cell">{value === null || value === undefined ? words.noValue : `${Number(value.toPrecision(6))} ${sensor?.unit}`}</td>
                <td>{sensor && <StateBadge state={sensor.state} detail={sensor.state_detail} />}</td>
                <td class="muted">{sensor?.state_detail}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
