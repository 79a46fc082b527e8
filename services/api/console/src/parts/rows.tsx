import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { reveal, target, useView } from "./scrolled";

const OVERSCAN = 8;

interface Props {
  ids: string[];
  rowHeight: number;
  label: string;
  head: ComponentChildren;
  row: (id: string) => ComponentChildren;
  open: (id: string) => void;
  selected: string | null;
  select: (id: string) => void;
  /** What other keys do to the row that has the focus; returns whether it was for them. */
  press?: (key: string, id: string) => boolean;
}

/** Rows of one height, of which only those in sight exist. One row takes the focus; arrows move it (roving tabindex). */
export function Rows({ ids, rowHeight, label, head, row, open, selected, select, press }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [view, measure] = useView(box, 600);
  const moved = useRef(false);

  const at = selected === null ? -1 : ids.indexOf(selected);
  useLayoutEffect(() => {
    if (box.current && at >= 0) reveal(box.current, at, rowHeight, 1);
    if (moved.current) box.current?.querySelector<HTMLElement>(".row.selected")?.focus({ preventScroll: true });
    moved.current = false;
  }, [selected]);
  useEffect(() => {
    if (box.current && box.current.scrollTop > ids.length * rowHeight) measure();
  }, [ids.length]);

  const keys = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLButtonElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 2);
    const to = target(event.key, at, page, ids.length);
    if (to !== undefined && ids.length) {
      event.preventDefault();
      const next = ids[Math.min(Math.max(to, 0), ids.length - 1)]!;
      moved.current = true;
      if (next === selected) box.current?.querySelector<HTMLElement>(".row.selected")?.focus({ preventScroll: true });
      else select(next);
    } else if (event.key === "Enter" && at >= 0) {
      open(selected!);
    } else if (at >= 0 && press?.(event.key, selected!)) {
      event.preventDefault();
    }
  };

  const first = Math.max(0, Math.floor(view.top / rowHeight) - OVERSCAN);
  const last = Math.min(ids.length, Math.ceil((view.top + view.height) / rowHeight) + OVERSCAN);
  const shown = Array.from({ length: Math.max(0, last - first) }, (_, k) => first + k);
  // Tab finds the row that was left, or the first one, also when it is out of sight.
  const stop = at >= 0 ? at : 0;
  if (ids.length && (stop < first || stop >= last)) shown.push(stop);
  return (
    <div class="rows" ref={box} onScroll={measure} onKeyDown={keys} tabIndex={-1} role="grid" aria-label={label} aria-rowcount={ids.length + 1}>
      {head}
      <div class="body" role="rowgroup" style={{ height: ids.length * rowHeight }}>
        {shown.map((k) => {
          const id = ids[k]!;
          return (
            <div
              key={id}
              id={`row-${id}`}
              class={id === selected ? "row selected" : "row"}
              role="row"
              tabIndex={k === stop ? 0 : -1}
              aria-rowindex={k + 2}
              aria-selected={id === selected}
              style={{ transform: `translateY(${k * rowHeight}px)` }}
              onFocus={() => id !== selected && select(id)}
              onClick={(event) => !(event.target instanceof HTMLInputElement) && open(id)}
            >
              {row(id)}
            </div>
          );
        })}
      </div>
    </div>
  );
}
