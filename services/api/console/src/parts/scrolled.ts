import { type RefObject } from "preact";
import { useCallback, useLayoutEffect, useState } from "preact/hooks";

/** What of a box is in sight [px]. */
export interface View {
  top: number;
  height: number;
}

/** What is in sight of a box that scrolls, and what to call when it has scrolled. */
export function useView(box: RefObject<HTMLElement | null>, height: number): [View, () => void] {
  const [view, set] = useState<View>({ top: 0, height });
  const measure = useCallback(() => {
    const element = box.current;
    if (element) set({ top: element.scrollTop, height: element.clientHeight });
  }, []);
  useLayoutEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return [view, measure];
}

/** Scroll a box no further than it takes to have a row in sight, below `heads` rows that stay at its top. */
export function reveal(element: HTMLElement, at: number, rowHeight: number, heads: number): void {
  const top = at * rowHeight;
  const end = (at + 1 + heads) * rowHeight;
  if (top < element.scrollTop) element.scrollTop = top;
  else if (end > element.scrollTop + element.clientHeight) element.scrollTop = end - element.clientHeight;
}

/** Where a key moves to from a row, as far as it moves: not yet bounded by the first and the last. */
export function target(key: string, at: number, page: number, n: number): number | undefined {
  const moves: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: n - 1,
  };
  return moves[key];
}
