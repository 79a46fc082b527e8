import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Sensor } from "../api";
import { go } from "../hooks";
import type { model as Model } from "../model";
import { reveal, useView } from "../parts/scrolled";
import { StateShape, worse } from "../parts/state";
import { stateText, text } from "../text";
import { type Place, TROUBLE } from "./arrange";

const HEIGHT = 28;
const OVERSCAN = 10;
const troubled = new Set(TROUBLE);

interface Node {
  key: string;
  level: 1 | 2 | 3;
  words: string;
  place: Place;
  sensor: Sensor | null;
  n: number;
  nTroubled: number;
  worst: Sensor["state"];
  position: number;
  siblings: number;
}

/** The plant: sites, their edges, and the sensors of those that are unfolded. Only what is in sight exists. */
export function Tree({ model, place, choose }: { model: typeof Model; place: Place; choose: (place: Place) => void }) {
  // Sites are folded, unless there is only one; edges are: what was turned is kept.
  const [turned, turn] = useState<ReadonlySet<string>>(new Set());
  const sites = useMemo(() => plant(model.sensors.values()), [model.structure]);
  const isOpen = (key: string) => turned.has(key) !== (sites.length === 1 && key.startsWith("site:"));
  const nodes = useMemo(() => flatten(sites, isOpen), [sites, turned]);
  const [focused, focus] = useState("all");
  const box = useRef<HTMLDivElement>(null);
  const [view, measure] = useView(box, 400);
  const moved = useRef(false);

  const at = Math.max(0, nodes.findIndex((node) => node.key === focused));
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || !moved.current) return;
    moved.current = false;
    reveal(element, at, HEIGHT, 0);
    element.querySelector<HTMLElement>("[tabindex='0']")?.focus({ preventScroll: true });
  }, [focused]);

  const fold = (key: string) => {
    const next = new Set(turned);
    if (!next.delete(key)) next.add(key);
    turn(next);
  };
  const move = (index: number) => {
    const next = nodes[Math.min(Math.max(index, 0), nodes.length - 1)];
    if (!next) return;
    moved.current = true;
    focus(next.key);
  };
  const act = (node: Node) => (node.sensor ? go(`/sensors/${node.sensor.id}`) : choose(node.place));
  const keys = (event: KeyboardEvent) => {
    const node = nodes[at];
    if (!node) return;
    const folds = node.level < 3 && node.key !== "all";
    const done: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      Home: () => move(0),
      End: () => move(nodes.length - 1),
      PageDown: () => move(at + 10),
      PageUp: () => move(at - 10),
      ArrowRight: () => (folds && !isOpen(node.key) ? fold(node.key) : move(at + 1)),
      ArrowLeft: () => (folds && isOpen(node.key) ? fold(node.key) : move(parent(nodes, at))),
      Enter: () => act(node),
      " ": () => act(node),
    };
    const todo = done[event.key];
    if (!todo) return;
    event.preventDefault();
    todo();
  };

  const first = Math.max(0, Math.floor(view.top / HEIGHT) - OVERSCAN);
  const last = Math.min(nodes.length, Math.ceil((view.top + view.height) / HEIGHT) + OVERSCAN);
  const shown = Array.from({ length: Math.max(0, last - first) }, (_, k) => first + k);
  if (nodes.length && (at < first || at >= last)) shown.push(at);
  return (
    <aside class="plant" aria-label={text.tree.title}>
      <h2>{text.tree.title}</h2>
      <div class="tree" ref={box} onScroll={measure} onKeyDown={keys} role="tree" aria-label={text.tree.title}>
        <div class="tree-body" role="none" style={{ height: nodes.length * HEIGHT }}>
          {shown.map((k) => {
            const node = nodes[k]!;
            const folds = node.level < 3 && node.key !== "all";
            const here = !node.sensor && node.place.site === place.site && node.place.edge === place.edge;
            return (
              <div
                key={node.key}
                class={`node level-${node.level}${here ? " here" : ""}`}
                role="treeitem"
                tabIndex={k === at ? 0 : -1}
                aria-level={node.level}
                aria-setsize={node.siblings}
                aria-posinset={node.position}
                aria-selected={here}
                {...(folds ? { "aria-expanded": isOpen(node.key) } : {})}
                style={{ transform: `translateY(${k * HEIGHT}px)` }}
                onClick={() => {
                  focus(node.key);
                  act(node);
                }}
              >
                {folds && (
                  <span
                    class={isOpen(node.key) ? "fold open" : "fold"}
                    aria-hidden="true"
                    onClick={(event) => {
                      event.stopPropagation();
                      fold(node.key);
                    }}
                  />
                )}
                <StateShape state={node.worst} title={stateText[node.worst]} />
                <span class="node-words">{node.words}</span>
                {!node.sensor && <span class="node-n">{node.n}</span>}
                {!node.sensor && node.nTroubled > 0 && (
                  <span class="node-trouble" title={text.tree.troubled(node.nTroubled)}>
                    {node.nTroubled}!
                  </span>
                )}
              </div>
            );
          })}
        </div>
      </div>
    </aside>
  );
}

interface Group {
  words: string;
  sensors: Sensor[];
  edges: Map<string, Sensor[]>;
}

function plant(sensors: Iterable<Sensor>): Group[] {
  const sites = new Map<string, Group>();
  for (const sensor of sensors) {
    let site = sites.get(sensor.site);
    if (!site) sites.set(sensor.site, (site = { words: sensor.site, sensors: [], edges: new Map() }));
    site.sensors.push(sensor);
    const edge = site.edges.get(sensor.edge);
    if (edge) edge.push(sensor);
    else site.edges.set(sensor.edge, [sensor]);
  }
  return [...sites.values()].sort((a, b) => (a.words < b.words ? -1 : 1));
}

function summary(sensors: Sensor[]): Pick<Node, "n" | "nTroubled" | "worst"> {
  let nTroubled = 0;
  let worst: Sensor["state"] = "reference";
  for (const { state } of sensors) {
    if (troubled.has(state)) nTroubled++;
    worst = worse(worst, state);
  }
  return { n: sensors.length, nTroubled, worst };
}

function flatten(sites: Group[], isOpen: (key: string) => boolean): Node[] {
  const everything = sites.flatMap((site) => site.sensors);
  const nodes: Node[] = [
    {
      key: "all",
      level: 1,
      words: text.tree.all,
      place: { site: null, edge: null },
      sensor: null,
      ...summary(everything),
      position: 1,
      siblings: sites.length + 1,
    },
  ];
  sites.forEach((site, i) => {
    const key = `site:${site.words}`;
    const place = { site: site.words, edge: null };
    nodes.push({ key, level: 1, words: site.words, place, sensor: null, ...summary(site.sensors), position: i + 2, siblings: sites.length + 1 });
    if (!isOpen(key)) return;
    [...site.edges].sort(([a], [b]) => (a < b ? -1 : 1)).forEach(([edge, sensors], j) => {
      const edgeKey = `edge:${site.words}/${edge}`;
      const edgePlace = { site: site.words, edge };
      nodes.push({
        key: edgeKey,
        level: 2,
        words: edge,
        place: edgePlace,
        sensor: null,
        ...summary(sensors),
        position: j + 1,
        siblings: site.edges.size,
      });
      if (!isOpen(edgeKey)) return;
      sensors.forEach((sensor, k) =>
        nodes.push({
          key: `sensor:${sensor.id}`,
          level: 3,
          words: sensor.id,
          place: edgePlace,
          sensor,
          n: 1,
          nTroubled: 0,
          worst: sensor.state,
          position: k + 1,
          siblings: sensors.length,
        }),
      );
    });
  });
  return nodes;
}

function parent(nodes: Node[], at: number): number {
  const level = nodes[at]!.level;
  for (let k = at - 1; k >= 0; k--) if (nodes[k]!.level < level) return k;
  return at;
}
