import { useState } from "preact/hooks";
import { Dialog } from "../parts/dialog";
import { text } from "../text";
import type { View } from "./arrange";
import { BUILT_IN, removeView, same, savedViews, saveView } from "./views";

/** Chooses among views, saves the one that is shown under a name, and forgets saved ones. */
export function ViewPicker({ view, show }: { view: View; show: (view: View) => void }) {
  const [saved, setSaved] = useState(savedViews);
  const [naming, setNaming] = useState(false);
  const all = [...BUILT_IN, ...saved];
  const now = all.find((each) => same(each.view, view));
  return (
    <span class="views">
      <span class="muted" aria-hidden="true">
        {text.views.label}
      </span>
      <select
        aria-label={text.views.label}
        value={now?.id ?? ""}
        onChange={(event) => {
          const chosen = all.find((each) => each.id === event.currentTarget.value);
          if (chosen) show(chosen.view);
        }}
        >
        {!now && <option value="">{text.views.unsaved}</option>}
        {all.map((each) => (
          <option key={each.id} value={each.id}>
            {each.name}
          </option>
        ))}
      </select>
      {!now && (
        <button class="plain" onClick={() => setNaming(true)}>
          {text.views.save}
        </button>
      )}
      {now?.id.startsWith("own:") && (
        <button class="plain" onClick={() => setSaved(removeView(now.id))}>
          {text.views.remove}
        </button>
      )}
      {naming && (
        <Naming
          close={() => setNaming(false)}
          save={(name) => {
            setSaved(saveView(name, view));
            setNaming(false);
          }}
        />
      )}
    </span>
  );
}

function Naming({ close, save }: { close: () => void; save: (name: string) => void }) {
  const [name, setName] = useState("");
  const accept = () => name.trim() && save(name.trim());
  return (
    <Dialog title={text.views.title} close={close}>
      <label class="field">
        {text.views.name}
        <input
          type="text"
          maxLength={60}
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && accept()}
        />
      </label>
      <p class="muted">{text.views.nameHint}</p>
      <div class="actions">
        <button class="plain" onClick={close}>
          {text.cancel}
        </button>
        <button class="plain main" disabled={!name.trim()} onClick={accept}>
          {text.views.saveIt}
        </button>
      </div>
    </Dialog>
  );
}
