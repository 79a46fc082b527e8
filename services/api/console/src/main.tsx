import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/header.css";
import "./style/values.css";
import "./style/panels.css";
import "./style/fleet.css";
import "./style/sensor.css";
import "./style/operations.css";
import "./style/alarms.css";
import "./style/commissioning.css";
import "./style/access.css";
import "./style/people.css";
import "./style/rollouts.css";
import "./style/media.css";
import { go, type Theme, useRoute, useTheme } from "./hooks";
import { model } from "./model";
import { Access } from "./pages/access";
import { Alarms } from "./pages/alarms";
import { Audit } from "./pages/audit";
import { Commissioning } from "./pages/commissioning";
import { Fleet } from "./pages/fleet";
import { Holds } from "./pages/holds";
import { Losses } from "./pages/losses";
import { Rollouts } from "./pages/rollouts";
import { SensorPage } from "./pages/sensor";
import { SignIn } from "./pages/sign-in";
import { System } from "./pages/system";
import { Banner } from "./parts/banner";
import { Header } from "./parts/header";
import { Help } from "./parts/help";
import { text } from "./text";
import { who } from "./who";

/** Pages by the letter that follows `g`. */
const LETTERS: Record<string, string> = { s: "/", a: "/alarms", c: "/commissioning", r: "/rollouts", l: "/losses", h: "/holds", y: "/system", u: "/audit", k: "/access" };
const LETTER_MS = 1500;

const writes = (target: EventTarget | null): boolean =>
  target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;

function App() {
  const route = useRoute();
  const [theme, toggleTheme] = useTheme();
  const [helping, help] = useState(false);
  const gone = useRef(0);
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
      if (document.querySelector("dialog[open]")) return;
      const page = Date.now() - gone.current < LETTER_MS ? LETTERS[event.key] : undefined;
      gone.current = event.key === "g" ? Date.now() : 0;
      if (page) go(page);
      else if (event.key === "t") toggleTheme();
      else if (event.key === "?") help(true);
      else if (event.key === "/") {
        event.preventDefault();
        document.querySelector<HTMLInputElement>("input[type=search]")?.focus();
      } else if (event.key === "Escape" && location.hash.length > 2) go("/");
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, []);
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        {text.skip}
      </a>
      <Header route={route} theme={theme} toggleTheme={toggleTheme} help={() => help(true)} />
      <Banner />
      <Page route={route} theme={theme} />
      {helping && <Help close={() => help(false)} />}
    </>
  );
}

function Page({ route, theme }: { route: string; theme: Theme }) {
  const sensor = /^\/sensors\/(.+)$/.exec(route)?.[1];
  const name = sensor ? decodeURIComponent(sensor) : null;
  const title = name ?? (route === "/" ? text.nav.fleet : text.nav[route.slice(1).split("/")[0] as keyof typeof text.nav]) ?? text.nav.fleet;
  const begun = useRef(false);
  useEffect(() => {
    document.title = `${title} · ${text.product}`;
    if (!begun.current) {
      begun.current = true;
      return;
    }
    // Who came by a link that is gone now goes on from the beginning of the page.
    if (!document.activeElement || document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
  }, [route]);
  if (name) return <SensorPage key={name} id={name} theme={theme} />;
  if (route === "/rollouts" || route.startsWith("/rollouts/")) return <Rollouts route={route} />;
  switch (route) {
    case "/alarms":
    case "/alarms/figures":
      return <Alarms route={route} />;
    case "/commissioning":
      return <Commissioning />;
    case "/losses":
      return <Losses />;
    case "/holds":
      return <Holds />;
    case "/system":
      return <System />;
    case "/audit":
      return <Audit />;
    case "/access":
      return <Access />;
    default:
      return <Fleet />;
  }
}

async function begin(): Promise<void> {
  await who.ask();
  if (who.in) model.start();
  const root = document.getElementById("app");
  if (root) render(who.in ? <App /> : <SignIn />, root);
}

void begin();
