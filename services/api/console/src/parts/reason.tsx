import { useState } from "preact/hooks";
import { text } from "../text";
import { Dialog } from "./dialog";

interface Asked {
  title: string;
  note: string;
  why: string;
  go: string;
  close: () => void;
  accept: (reason: string) => void;
}

/** Asks for the reason of a command; without one it is not given. */
export function ReasonDialog({ title, note, why, go, close, accept }: Asked) {
  const [reason, setReason] = useState("");
  return (
    <Dialog title={title} close={close}>
      <p>{note}</p>
      <label class="field">
        {why}
        <textarea rows={3} maxLength={500} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
      <div class="actions">
        <button class="plain" onClick={close}>
          {text.cancel}
        </button>
        <button class="plain main" disabled={!reason.trim()} onClick={() => accept(reason.trim())}>
          {go}
        </button>
      </div>
    </Dialog>
  );
}
