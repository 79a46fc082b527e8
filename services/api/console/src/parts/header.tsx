import { instant } from "../format";
import { type Theme, useModel } from "../hooks";
import { text } from "../text";
import { HornButton } from "./horn";
import { useMay } from "../who";
import { WhoHere } from "./who";

interface Props {
  route: string;
  theme: Theme;
  toggleTheme: () => void;
  help: () => void;
}

const PAGES = [
  ["/", text.nav.fleet],
  ["/alarms", text.nav.alarms],
  ["/commissioning", text.nav.commissioning],
  ["/rollouts", text.nav.rollouts],
  ["/losses", text.nav.losses],
  ["/holds", text.nav.holds],
  ["/system", text.nav.system],
  ["/audit", text.nav.audit],
  ["/access", text.nav.access],
] as const;

export function Header({ route, theme, toggleTheme, help }: Props) {
  const model = useModel();
  const active = [...model.alarms.values()].filter((alarm) => alarm.active && !SET_ASIDE.has(alarm.state));
  const worst = (["high", "medium", "low"] as const).find((p) => active.some((alarm) => alarm.priority === p));
  const administers = useMay("admin"); // others get to their part of that page by their name
  const here = PAGES.slice(1).find(([path]) => route.startsWith(path))?.[0] ?? "/";
  return (
    <header class="top">
      <a class="brand" href="#/" tabIndex={-1}>
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <path d="M3 25H9C14 25 14 7 19 7H29" class="brand-raw" />
          <path d="M3 25H10V7H29" class="brand-corrected" />
        </svg>
        {text.product}
      </a>
      <nav aria-label={text.nav.label}>
        {PAGES.filter(([path]) => path !== "/access" || administers).map(([path, words]) => (
          <a key={path} href={`#${path}`} aria-current={here === path ? "page" : undefined}>
            {words}
            {path === "/alarms" && active.length > 0 && <span class={`count priority-${worst}`}>{active.length}</span>}
          </a>
        ))}
      </nav>
      <div class="spacer" />
      <span class={model.connected ? "link up" : "link"} role="status">
        <span class="lamp" aria-hidden="true" />
        {model.connected ? text.connection.live : model.everConnected ? text.connection.lost : text.connection.connecting}
      </span>
      <time class="now">{instant(model.now())}</time>
      <HornButton />
      <WhoHere />
      <button class="quiet" onClick={help} title={`${text.help.open} (?)`} aria-label={text.help.open}>
        <span class="glyph" aria-hidden="true">
          ?
        </span>
      </button>
      <button class="quiet" onClick={toggleTheme} title={`${theme === "dark" ? text.theme.toLight : text.theme.toDark} (t)`}>
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <circle cx="8" cy="8" r="5.5" class="theme-ring" />
          <path d="M8 2.5a5.5 5.5 0 0 1 0 11Z" class="theme-half" />
        </svg>
        <span class="hidden">{theme === "dark" ? text.theme.toLight : text.theme.toDark}</span>
      </button>
    </header>
  );
}

const SET_ASIDE = new Set(["shelved", "suppressed", "out_of_service"]);
