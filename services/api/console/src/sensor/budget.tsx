import { ApiError } from "../api";
import { getBudget } from "../ask/findings";
import { instant, ms, plain, unit } from "../format";
import { useAnswer } from "../hooks";
import { Bar } from "../parts/bar";
import { contributionText, parameterText, text } from "../text";

const words = text.budget;

/** What the uncertainty of a corrected value is made of: a bar for each contribution, as long as its share of u². */
export function BudgetPanel({ id, setId }: { id: string; setId: string | undefined }) {
  const { answer, error } = useAnswer(() => (setId ? getBudget(id) : Promise.resolve(null)), [id, setId]);
  if (!answer) {
    const none = !setId || (error instanceof ApiError && error.status === 404);
    return (
      <section class="panel">
        <h2>{words.title}</h2>
        <p class="empty">{none ? words.none : error ? text.failed(error.message) : text.loading}</p>
      </section>
    );
  }
  const all = answer.u ** 2;
  const terms = answer.lines.filter((line) => line.counts).sort((a, b) => b.u - a.u);
  const parts = answer.lines.filter((line) => line.name.startsWith("parameter:"));
  const lines = terms.flatMap((term) => [term, ...(term.name === "parameters" ? parts : [])]);
  return (
    <section class="panel">
      <h2>{words.title}</h2>
      <p class="figure-line">{words.total(plain(answer.u, 2), unit(answer.unit))}</p>
      <table class="list bars" aria-label={words.title}>
        <thead class="hidden">
          <tr>
            <th>{words.contribution}</th>
            <th>u</th>
            <th>{words.share}</th>
            <th>%</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => {
            const share = all ? line.u ** 2 / all : 0;
            return (
              <tr key={line.name} class={line.counts ? "" : "part"}>
                <th scope="row">{nameOf(line.name)}</th>
                <td class="right figures-cell">{plain(line.u, 2)}</td>
                <td class="bar-cell">{line.counts && <Bar share={share} />}</td>
                <td class="right">{line.counts ? `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %` : ""}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p class="muted note">{words.over(answer.n, instant(ms(answer.to_ns)))}</p>
    </section>
  );
}

function nameOf(name: string): string {
  const parameter = name.startsWith("parameter:") ? name.slice(10) : null;
  if (parameter) return parameterText[parameter]?.symbol ?? parameter;
  return contributionText[name] ?? name;
}
