import { instant } from "../format";
import { type Theme, useModel } from "../hooks";
import { text } from "../text";

export function Header({ route, theme, toggleTheme }: { route: string; theme: Theme; toggleTheme: () => void }) {
  const model = useModel();
  const active = [...model.alarms.values()].filter((alarm) => alarm.active);
  const worst = (["high", "medium", "low"] as const).find((p) => active.some((alarm) => alarm.priority === p));
  const onAlarms = route.startsWith("/alarms");
  return (
    <header class="top">
      <a class="brand" href="#/">
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <path d="M3 25H9C14 25 14 7 19 7H29" class="brand-raw" />
          <path d="M3 25H10V7H29" class="brand-corrected" />
        </svg>
        {text.product}
      </a>
      <nav>
        <a href="#/" aria-current={onAlarms ? undefined : "page"}>
          {text.nav.fleet}
        </a>
        <a href="#/alarms" aria-current={onAlarms ? "page" : undefined}>
          {text.nav.alarms}
          {active.length > 0 && <span class={`count priority-${worst}`}>{active.length}</span>}
        </a>
      </nav>
      <div class="spacer" />
      <span class={model.connected ? "link up" : "link"} role="status">
        <span class="lamp" aria-hidden="true" />
        {model.connected ? text.connection.live : model.everConnected ? text.connection.lost : text.connection.connecting}
      </span>
      <time class="now">{instant(model.now())}</time>
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
