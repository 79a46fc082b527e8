import { useState } from "preact/hooks";
import { browse, type FoundNode, type Section } from "../ask/commissioning";
import { text } from "../text";
import { ofNode, type Pick } from "./picks";

const words = text.commissioning;
const POLICIES = ["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"];

interface Props {
  edge: string;
  picks: Pick[];
  toggle: (pick: Pick) => void;
}

/** An OPC UA server as the edge sees it: address and login, and its nodes to pick from. */
export function Server({ edge, picks, toggle }: Props) {
  const [url, setUrl] = useState("opc.tcp://");
  const [policy, setPolicy] = useState("None");
  const [mode, setMode] = useState("SignAndEncrypt");
  const [username, setUsername] = useState("");
  const [passwordFile, setPasswordFile] = useState("");
  const [top, setTop] = useState<Section | null>(null);
  const [number, again] = useState(0);
  const server: Section = {
    url,
    ...(policy === "None" ? {} : { security_policy: policy, security_mode: mode }),
    ...(username ? { username } : {}),
    ...(passwordFile ? { password_file: passwordFile } : {}),
  };
  return (
    <>
      <form
        class="asking"
        onSubmit={(event) => {
          event.preventDefault();
          setTop(server);
          again(number + 1);
        }}
      >
        <label class="field wide">
          {words.url}
          <input type="text" required value={url} pattern="opc\.tcp://.+" onInput={(event) => setUrl(event.currentTarget.value)} />
        </label>
        <button class="plain main" type="submit">
          {words.browse}
        </button>
        <details>
          <summary>{words.more}</summary>
          <div class="asking">
            <label class="field">
              {words.policy}
              <select value={policy} onChange={(event) => setPolicy(event.currentTarget.value)}>
                {POLICIES.map((each) => (
                  <option key={each}>{each}</option>
                ))}
              </select>
            </label>
            {policy !== "None" && (
              <label class="field">
                {words.mode}
                <select value={mode} onChange={(event) => setMode(event.currentTarget.value)}>
                  <option>SignAndEncrypt</option>
                  <option>Sign</option>
                </select>
              </label>
            )}
            <label class="field">
              {words.username}
              <input type="text" autocomplete="off" value={username} onInput={(event) => setUsername(event.currentTarget.value)} />
            </label>
            <label class="field">
              {words.passwordFile}
              <input type="text" autocomplete="off" value={passwordFile} onInput={(event) => setPasswordFile(event.currentTarget.value)} />
            </label>
          </div>
          <p class="muted note">{words.passwordHint}</p>
        </details>
      </form>
      {top && (
        <div class="nodes" role="group" aria-label={words.found}>
          <Below key={`${edge} ${number}`} edge={edge} server={top} node="" picks={picks} toggle={toggle} />
        </div>
      )}
    </>
  );
}

/** What lies below a node, asked for when it is unfolded. */
function Below({ edge, server, node, picks, toggle }: Props & { server: Section; node: string }) {
  const [state, set] = useState<{ nodes: FoundNode[]; more: boolean } | null>(null);
  const [failure, fail] = useState("");
  const [asked, ask] = useState(false);
  if (!asked) {
    ask(true);
    browse(edge, server, node)
      .then(set)
      .catch((error: Error) => fail(error.message));
  }
  if (failure) return <p class="failure">{failure}</p>;
  if (!state) return <p class="muted note">{words.browsing}</p>;
  if (!state.nodes.length) return <p class="muted note">{words.empty}</p>;
  return (
    <>
      <ul>
        {state.nodes.map((found) => (
          <li key={found.node}>
            {found.variable ? (
              <Variable found={found} pick={ofNode(server, found)} picks={picks} toggle={toggle} />
            ) : (
              <Folder edge={edge} server={server} found={found} picks={picks} toggle={toggle} />
            )}
          </li>
        ))}
      </ul>
      {state.more && <p class="muted note">{words.cut}</p>}
    </>
  );
}

function Folder({ found, ...rest }: Props & { server: Section; found: FoundNode }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button class="folder" aria-expanded={open} aria-label={words.unfold(found.name)} onClick={() => setOpen(!open)}>
        <span class="open-mark" aria-hidden="true">
          {open ? "▾" : "▸"}
        </span>
        {found.name}
      </button>
      {open && <Below {...rest} node={found.node} />}
    </>
  );
}

function Variable({ found, pick, picks, toggle }: { found: FoundNode; pick: Pick; picks: Pick[]; toggle: (pick: Pick) => void }) {
  const value = [found.value, found.unit, found.status].filter(Boolean).join(" ");
  return (
    <label class={found.numeric ? "variable" : "variable muted"}>
      <input
        type="checkbox"
        disabled={!found.numeric}
        checked={picks.some((each) => each.key === pick.key)}
        aria-label={words.pick(found.name)}
        onChange={() => toggle(pick)}
      />
      <span>{found.name}</span>
      <span class="muted clip" title={value}>
        {value || found.data_type}
      </span>
    </label>
  );
}
