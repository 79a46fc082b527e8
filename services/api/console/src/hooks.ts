import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { elapsed } from "./clock";
import { model } from "./model";

/** Render again when the model changes. */
export function useModel(): typeof model {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => model.subscribe(() => again(undefined)), []);
  return model;
}

/** The part of the address that says which page: what stands behind the `#`. */
export function useRoute(): string {
  const [route, setRoute] = useState(() => location.hash.slice(1) || "/");
  useEffect(() => {
    const follow = () => setRoute(location.hash.slice(1) || "/");
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}

export function go(route: string): void {
  location.hash = route;
}

/** The answer to a request, asked again when `keys` change. */
export function useAnswer<T>(ask: () => Promise<T>, keys: readonly unknown[]): { answer: T | null; error: Error | null } {
  const [state, setState] = useState<{ answer: T | null; error: Error | null }>({ answer: null, error: null });
  useEffect(() => {
    let current = true;
    ask()
      .then((answer) => current && setState({ answer, error: null }))
      .catch((error: Error) => current && setState((before) => ({ ...before, error })));
    return () => {
      current = false;
    };
  }, keys);
  return state;
}

/**
 * Ask at once, and again `ms` after each answer, while in sight; `take` gets what was answered. What the last failure
 * said, or nothing.
 */
export function useRepeated<T>(
  ms: number,
  ask: (wanted: () => boolean) => Promise<T>,
  take: (answer: T) => void,
  keys: readonly unknown[] = [],
): string {
  const [failure, setFailure] = useState("");
  useEffect(() => {
    let ended = false;
    let timer: ReturnType<typeof setTimeout>;
    const again = async () => {
      try {
        const answer = await ask(() => !ended);
        if (ended) return;
        take(answer);
        setFailure("");
      } catch (error) {
        if (!ended) setFailure((error as Error).message);
      }
      if (!ended) timer = setTimeout(() => void again(), ms);
    };
    void again();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, keys);
  return failure;
}

/** What this browser keeps; a page that may not keep anything works all the same. */
export function kept(name: string, otherwise: string): string {
  try {
    return localStorage.getItem(name) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Full, or forbidden: it is forgotten with the page.
  }
}

/** A value that follows another one, but not more often than every `ms`. */
export function useSlowly<T>(value: T, ms: number): T {
  const [slow, set] = useState(value);
  const last = useRef(-Infinity);
  useEffect(() => {
    const wait = Math.max(0, last.current + ms - elapsed());
    const timer = setTimeout(() => {
      last.current = elapsed();
      set(value);
    }, wait);
    return () => clearTimeout(timer);
  }, [value]);
  return slow;
}

export type Theme = "dark" | "light";

/** The theme: as chosen before, otherwise as the system says. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(() => {
    const asked = new URLSearchParams(location.search).get("theme") ?? kept("dyncal.theme", "");
    if (asked === "dark" || asked === "light") return asked;
    return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  });
  document.documentElement.dataset["theme"] = theme;
  const toggle = () =>
    setTheme((before) => {
      const next = before === "dark" ? "light" : "dark";
      keep("dyncal.theme", next);
      return next;
    });
  return [theme, toggle];
}
