import { useEffect, useState } from "preact/hooks";
import { elapsed } from "../clock";
import { kept, keep } from "../hooks";
import { model } from "../model";
import { text } from "../text";

const NAME = "dyncal.horn";
const PITCH = { high: 988, medium: 740, low: 523 } as const;
const QUIET_MS = 1500;

let context: AudioContext | undefined;
let sounded = -Infinity;

/** A short tone, higher for what is more urgent; not more than one in a second and a half. */
function sound(priority: keyof typeof PITCH): void {
  if (!context || elapsed() - sounded < QUIET_MS) return;
  sounded = elapsed();
  const [tone, level, t] = [context.createOscillator(), context.createGain(), context.currentTime];
  tone.frequency.value = PITCH[priority];
  level.gain.setValueAtTime(0, t);
  level.gain.linearRampToValueAtTime(0.15, t + 0.02);
  level.gain.linearRampToValueAtTime(0, t + 0.4);
  tone.connect(level).connect(context.destination);
  tone.start(t);
  tone.stop(t + 0.45);
}

/** Sounds where wanted: a browser lets them out only after somebody has pressed something. */
export function HornButton() {
  const [on, set] = useState(() => kept(NAME, "off") === "on");
  useEffect(() => {
    if (!on) return undefined;
    const allow = () => (context ??= new AudioContext());
    addEventListener("pointerdown", allow, { once: true });
    addEventListener("keydown", allow, { once: true });
    const end = model.onAlarm((alarm) => {
      if (alarm.annunciation === "single" && alarm.state === "unacknowledged") sound(alarm.priority);
    });
    return () => {
      end();
      removeEventListener("pointerdown", allow);
      removeEventListener("keydown", allow);
    };
  }, [on]);
  const words = on ? text.horn.on : text.horn.off;
  return (
    <button
      class="quiet"
      aria-pressed={on}
      title={words}
      aria-label={text.horn.label}
      onClick={() => {
        keep(NAME, on ? "off" : "on");
        set(!on);
      }}
    >
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path d="M2 6h3l3.5-3v10L5 10H2Z" class="theme-half" />
        <path d={on ? "M10.5 5.5a3.5 3.5 0 0 1 0 5M12.3 3.6a6 6 0 0 1 0 8.8" : "M10.5 6l4 4M14.5 6l-4 4"} class="theme-ring" />
      </svg>
    </button>
  );
}
