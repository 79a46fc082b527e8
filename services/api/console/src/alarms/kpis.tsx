import { useState } from "preact/hooks";
import { getKpis, type Often } from "../ask/alarms";
import { age, count, instant, ms, percent, plain } from "../format";
import { useAnswer } from "../hooks";
import { Bar } from "../parts/bar";
import { PriorityBadge } from "../parts/state";
import { Tile } from "../parts/tile";
import { text } from "../text";
import { model } from "../model";

const words = text.alarms.figures;
const share = (part: number): string => percent(part).replace("+", "");
/** EEMUA 191: what one operator can live with. */
const MANAGEABLE = { perHour: 6, peak: 10 };

export function Kpis() {
  const [hours, setHours] = useState<number>(words.periods[0].hours);
  const { answer, error } = useAnswer(() => getKpis(`${Math.round((model.now() - hours * 3_600_000) * 1e3)}000`), [hours]);
  return (
    <div class="kpis">
      <div class="segments period" role="group" aria-label={text.alarms.kpis}>
        {words.periods.map((period) => (
          <button key={period.hours} aria-pressed={hours === period.hours} onClick={() => setHours(period.hours)}>
            {period.label}
          </button>
        ))}
      </div>
      {!answer ? (
        <p class="empty">{error ? text.failed(error.message) : text.loading}</p>
      ) : (
        <>
          {answer.from_ns === answer.history_from_ns && <p class="muted">{words.forgotten(instant(ms(answer.from_ns)))}</p>}
          <dl class="tiles">
            <Tile label={words.perHour} value={plain(answer.per_operator_hour, 3)} detail={words.perHourNote} wrong={answer.per_operator_hour > MANAGEABLE.perHour} />
            <Tile label={words.peak} value={plain(answer.peak_per_10_min, 3)} detail={words.peakNote} wrong={answer.peak_per_10_min > MANAGEABLE.peak} />
            <Tile label={words.floodShare} value={share(answer.flood_share)} detail={words.floods(answer.n_floods)} wrong={answer.flood_share > 0.01} />
            <Tile label={words.annunciated} value={count(answer.n_annunciated)} detail={words.operators(plain(answer.n_operators, 2))} />
            <Tile label={words.heldBack} value={count(answer.n_held_back)} />
            <Tile label={words.acknowledge} value={age(answer.mean_acknowledge_s)} />
          </dl>
          <div class="panels">
            <section class="panel">
              <h2>{words.byPriority}</h2>
              <table class="list bars">
                <tbody>
                  {(["high", "medium", "low"] as const).map((priority) => (
                    <tr key={priority}>
                      <td>
                        <PriorityBadge priority={priority} active={false} />
                      </td>
                      <td class="right">{count(answer.n_by_priority[priority] ?? 0)}</td>
                      <td class="bar-cell">
                        <Bar share={(answer.n_by_priority[priority] ?? 0) / Math.max(1, answer.n_annunciated + answer.n_held_back)} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
            <Frequent title={`${words.top} (${words.topShare(share(answer.top_share))})`} alarms={answer.top} />
            <Frequent title={words.chattering} alarms={answer.chattering} note={(each) => `${each.n_per_minute} ${words.perMinute}`} />
            <Frequent title={words.fleeting} alarms={answer.fleeting} />
            <section class="panel">
              <h2>{words.stale}</h2>
              {answer.stale.length ? (
                <ul class="plain-list">
                  {answer.stale.map((id) => (
                    <li key={id}>{id}</li>
                  ))}
                </ul>
              ) : (
                <p class="muted">{words.nothing}</p>
              )}
            </section>
          </div>
        </>
      )}
    </div>
  );
}

function Frequent({ title, alarms, note }: { title: string; alarms: Often[]; note?: (each: Often) => string }) {
  const most = Math.max(1, ...alarms.map((each) => each.n));
  return (
    <section class="panel">
      <h2>{title}</h2>
      {alarms.length ? (
        <table class="list bars">
          <tbody>
            {alarms.map((each) => (
              <tr key={each.id}>
                <th scope="row">{each.id}</th>
                <td class="right">{count(each.n)}</td>
                <td class="bar-cell">
                  <Bar share={each.n / most} />
                </td>
                <td class="muted">{note ? note(each) : share(each.share)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p class="muted">{words.nothing}</p>
      )}
    </section>
  );
}
