import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

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
}

/** Rows of one height, of which only those in sight exist; moved through by keyboard. */
export function Rows({ ids, rowHeight, label, head, row, open, selected, select }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const measure = useCallback(() => {
    const element = box.current;
    if (element) setView({ top: element.scrollTop, height: element.clientHeight });
  }, []);
  useLayoutEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  const at = selected === null ? -1 : ids.indexOf(selected);
  const show = (index: number) => {
    const element = box.current;
    if (!element || index < 0) return;
    const top = index * rowHeight;
    const headHeight = rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight + headHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + rowHeight + headHeight - element.clientHeight;
    }
  };
  useEffect(() => show(at), [selected]);

  const keys = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 2);
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: ids.length - 1,
    };
    const target = moves[event.key];
    if (target !== undefined && ids.length) {
      event.preventDefault();
      select(ids[Math.min(Math.max(target, 0), ids.length - 1)]!);
    } else if (event.key === "Enter" && selected !== null) {
      open(selected);
    }
  };

  const first = Math.max(0, Math.floor(view.top / rowHeight) - OVERSCAN);
  const last = Math.min(ids.length, Math.ceil((view.top + view.height) / rowHeight) + OVERSCAN);
  return (
    <div
      class="rows"
      ref={box}
      onScroll={measure}
      onKeyDown={keys}
      tabIndex={0}
      role="grid"
      aria-label={label}
      aria-rowcount={ids.length + 1}
      aria-activedescendant={selected === null ? undefined : `row-${selected}`}
    >
      {head}
      <div class="body" role="rowgroup" style={{ height: ids.length * rowHeight }}>
        {ids.slice(first, last).map((id, k) => (
          <div
            key={id}
            id={`row-${id}`}
            class={id === selected ? "row selected" : "row"}
            role="row"
            aria-rowindex={first + k + 2}
            aria-selected={id === selected}
            style={{ transform: `translateY(${(first + k) * rowHeight}px)` }}
            onClick={() => open(id)}
          >
            {row(id)}
          </div>
        ))}
      </div>
    </div>
  );
}
