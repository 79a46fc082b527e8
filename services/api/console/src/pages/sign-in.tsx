import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api";
import { useTheme } from "../hooks";
import { Mark } from "../parts/tile";
import { text } from "../text";
import { who } from "../who";

const words = text.access;
type Way = "password" | "key";

/** What there is for those whom the service does not know. */
export function SignIn() {
  useTheme();
  const [way, choose] = useState<Way>("password");
  const [name, setName] = useState("");
  const [secret, setSecret] = useState("");
  const [busy, setBusy] = useState(false);
  const [said, say] = useState("");
  useEffect(() => {
    document.title = `${words.title} · ${text.product}`;
    const look = () => document.visibilityState === "visible" && void who.look(); // another tab may have signed in
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    say("");
    try {
      await who.signIn(way === "key" ? { key: secret.trim() } : { name: name.trim().toLowerCase(), password: secret });
      return;
    } catch (error) {
      say(wrong(error as Error, way));
      setSecret("");
    }
    setBusy(false);
  };
  return (
    <main class="page sign-in" id="main" tabIndex={-1}>
      <form class="panel" onSubmit={(event) => void submit(event)}>
        <p class="brand">{text.product}</p>
        <h1>{words.title}</h1>
        <p class="muted">{words.lead}</p>
        <div class="segments" role="group" aria-label={words.ways.label}>
          {(["password", "key"] as const).map((each) => (
            <button key={each} type="button" aria-pressed={way === each} onClick={() => (choose(each), setSecret(""), say(""))}>
              {words.ways[each]}
            </button>
          ))}
        </div>
        {way === "password" && (
          <label class="field">
            {words.name}
            <input
              type="text"
              name="username"
              autocomplete="username"
              autocapitalize="none"
              spellcheck={false}
              required
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
        )}
        <label class="field">
          {way === "key" ? words.key : words.password}
          <input
            key={way}
            type="password"
            name={way}
            autocomplete={way === "key" ? "off" : "current-password"}
            required
            value={secret}
            onInput={(event) => setSecret(event.currentTarget.value)}
          />
        </label>
        {way === "key" && <p class="muted">{words.keyHint}</p>}
        <p class="said wrong" role="alert">
          {said && <Mark />} {said}
        </p>
        <button class="plain main" type="submit" disabled={busy}>
          {busy ? words.signingIn : words.signIn}
        </button>
      </form>
    </main>
  );
}

function wrong(error: Error, way: Way): string {
  if (!(error instanceof ApiError)) return words.unreachable;
  if (error.status === 401) return words.wrong[way];
  if (String(error.problem["type"]).endsWith(":role")) return words.notForPeople;
  if (error.status >= 500) return words.unavailable(error.message);
  if (error.status === 429) return words.wait(Number(error.problem["retry_after_s"] ?? 1));
  return words.failed(error.message);
}
