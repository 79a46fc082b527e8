// Views of the fleet by name: those that come with the console, and those that people have saved in this browser.
import { keep, kept } from "../hooks";
import { text } from "../text";
import { STATES, TROUBLE, type View } from "./arrange";

const NAME = "dyncal.views";
const MOST = 50;

export interface Named {
  id: string;
  name: string;
  view: View;
}

const everywhere = { site: null, edge: null };
export const ALL: View = { filter: "", states: [], place: everywhere, sort: "state", up: true };

export const BUILT_IN: Named[] = [
  { id: "all", name: text.views.builtIn.all, view: ALL },
  { id: "attention", name: text.views.builtIn.attention, view: { ...ALL, states: TROUBLE } },
  { id: "uncorrected", name: text.views.builtIn.uncorrected, view: { ...ALL, states: ["learning"] } },
];

/** The views that were saved; what cannot be read is left out. */
export function savedViews(): Named[] {
  let read: unknown;
  try {
    read = JSON.parse(kept(NAME, "[]"));
  } catch {
    return [];
  }
  return Array.isArray(read) ? read.filter(isNamed).slice(0, MOST) : [];
}

function isNamed(each: unknown): each is Named {
  const named = each as Partial<Named> | null;
  const view = named?.view;
  return (
    typeof named?.id === "string" &&
    typeof named.name === "string" &&
    typeof view?.filter === "string" &&
    Array.isArray(view.states) &&
    view.states.every((state) => STATES.includes(state)) &&
    typeof view.place === "object" &&
    view.place !== null &&
    view.sort in text.fleet.columns &&
    typeof view.up === "boolean"
  );
}

export function saveView(name: string, view: View): Named[] {
  const others = savedViews().filter((each) => each.name !== name);
  const saved = [...others, { id: `own:${name}`, name, view }].slice(-MOST);
  keep(NAME, JSON.stringify(saved));
  return saved;
}

export function removeView(id: string): Named[] {
  const left = savedViews().filter((each) => each.id !== id);
  keep(NAME, JSON.stringify(left));
  return left;
}

export const same = (a: View, b: View): boolean =>
  a.filter === b.filter &&
  a.states.join() === b.states.join() &&
  a.place.site === b.place.site &&
  a.place.edge === b.place.edge &&
  a.sort === b.sort &&
  a.up === b.up;
