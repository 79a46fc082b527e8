import type { ComponentChildren } from "preact";
import { getChain, type Step } from "../ask/findings";
import { instant, ms, percent, plain, span, unit } from "../format";
import { useAnswer } from "../hooks";
import { text, verdictText } from "../text";

const words = text.chain;

/** What the values are traced to, link by link, down to what the system knows nothing of. */
export function ChainPanel({ setId }: { setId: string | undefined }) {
  const { answer, error } = useAnswer(() => (setId ? getChain(setId) : Promise.resolve(null)), [setId]);
  const steps = answer?.steps ?? [];
  const end = steps.at(-1);
  return (
    <section class="panel">
      <h2>{words.title}</h2>
      {steps.length === 0 || !end ? (
        <p class="empty">{setId ? (error ? text.failed(error.message) : text.loading) : words.none}</p>
      ) : (
        <ol class="chain">
          {steps.filter((step) => step.set_id).map((step) => (
            <Link key={step.sensor} step={step} />
          ))}
          <li class="end">{end.set_id ? words.cut(end.reference ?? end.sensor) : <End step={end} />}</li>
        </ol>
      )}
    </section>
  );
}

function Link({ step }: { step: Step }) {
  const { calibration } = step;
  return (
    <li>
      <div>
        {words.values(step.sensor)} {words.by(step.set_id)}
        {step.key_id && (
          <span class="muted" title={step.sha256}>
            , {words.signed(step.key_id)}
          </span>
        )}
      </div>
      <div>
        {calibration ? (
          <>
            {words.calibrated} {calibration.id} <span class="muted">({verdictText[calibration.verdict]}, {instant(ms(calibration.fitted_at_ns))})</span>
          </>
        ) : (
          <span class="muted">{words.gone}</span>
        )}
      </div>
      {step.reference && (
        <div>
          <a href={`#/sensors/${step.reference}`}>{words.against(step.reference)}</a> <span class="muted">{stated(step)}</span>
        </div>
      )}
    </li>
  );
}

/** What stands behind the last sensor: its certificate, where one was sent. */
function End({ step }: { step: Step }) {
  const { certificate } = step;
  if (!certificate) return <>{words.end(step.sensor)}</>;
  return (
    <>
      {words.certified(step.sensor, certificate.certificate, certificate.laboratory)}{" "}
      <span class="muted">({instant(ms(certificate.calibrated_at_ns))})</span>
    </>
  );
}

function stated(step: Step): ComponentChildren {
  const [u, gain, clock] = [step.u_reference ?? 0, step.u_reference_gain ?? 0, step.u_clock_s ?? 0]; // null: not known any more
  const parts = [
    u > 0 ? `u = ${plain(u, 2)} ${unit(step.unit)}` : "",
    gain > 0 ? `u(gain) = ${percent(gain).replace("+", "")}` : "",
    clock > 0 ? `u(clock) = ${span(clock)}` : "",
  ].filter(Boolean);
  return parts.length ? `${words.stated}: ${parts.join(", ")}` : words.nothingStated;
}
