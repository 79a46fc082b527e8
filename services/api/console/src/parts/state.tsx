import type { JSX } from "preact";
import type { SensorState } from "../api";
import type { Priority } from "../ask/alarms";
import { GRAVITY } from "../fleet/arrange";
import { model } from "../model";
import { priorityText, stateText, text } from "../text";

// Shape, word and colour say the same thing: NE 107's symbols, grey where nothing is wrong.
const SHAPES: Record<SensorState, JSX.Element> = {
  normal: <circle cx="8" cy="8" r="4.5" class="line" />,
  reference: <path d="M8 2.5 13.5 8 8 13.5 2.5 8Z" class="line" />,
  learning: <path d="M8 3.5A4.5 4.5 0 1 1 3.5 8" class="line" stroke-dasharray="2.5 2" />,
  cannot_tell: (
    <>
      <circle cx="8" cy="8" r="6.2" class="line" stroke-dasharray="2.5 2" />
      <path d="M6.2 6.4c0-2.3 3.6-2.3 3.6 0 0 1.4-1.8 1.5-1.8 3M8 11.3v.9" class="line" />
    </>
  ),
  maintenance_required: (
    <>
      <path d="M8 1 15 8 8 15 1 8Z" class="fill" />
      <path d="M8 4.8v4M8 10.6v1" class="mark" />
    </>
  ),
  out_of_specification: (
    <>
      <path d="M8 1.5 15.2 14H.8Z" class="fill" />
      <path d="M8 6v4M8 11.4v1" class="mark" />
    </>
  ),
  check_function: (
    <>
      <path d="M8 14.5.8 2h14.4Z" class="fill" />
      <path d="M8 4.2v4M8 9.6v1" class="mark" />
    </>
  ),
  failure: (
    <>
      <circle cx="8" cy="8" r="7" class="fill" />
      <path d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6" class="mark" />
    </>
  ),
};

/** The graver one of two states. */
export const worse = (a: SensorState, b: SensorState): SensorState => (GRAVITY[a] <= GRAVITY[b] ? a : b);

export function StateShape({ state, title }: { state: SensorState; title?: string }) {
  return (
    <span class={`state state-${state} ${model.connected ? "" : "unknown"}`}>
      <svg viewBox="0 0 16 16" width="14" height="14" role="img" aria-label={title}>
        {SHAPES[state]}
      </svg>
    </span>
  );
}

/** A state as the service says; while nothing comes from it, as it last said. */
export function StateBadge({ state, detail }: { state: SensorState; detail?: string }) {
  const known = model.connected || !model.everConnected;
  return (
    <span class={`state state-${state} ${known ? "" : "unknown"}`} title={known ? detail || undefined : text.asReceived}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        {SHAPES[state]}
      </svg>
      {stateText[state]}
      {!known && <span class="hidden">{text.asReceived}</span>}
    </span>
  );
}

const PRIORITY_SHAPES: Record<Priority, JSX.Element> = {
  high: <path d="M1.5 1.5h13v13h-13z" class="fill" />,
  medium: <path d="M8 1.2 15 14.5H1Z" class="fill" />,
  low: <circle cx="8" cy="8" r="6.5" class="fill" />,
};

export function PriorityBadge({ priority, active }: { priority: Priority; active: boolean }) {
  return (
    <span class={`priority priority-${priority} ${active ? "" : "calm"}`}>
      <svg viewBox="0 0 16 16" width="13" height="13" aria-hidden="true">
        {PRIORITY_SHAPES[priority]}
      </svg>
      {priorityText[priority]}
    </span>
  );
}
