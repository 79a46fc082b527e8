import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../parts/dialog";
import { Mark } from "../parts/tile";
import { text } from "../text";

interface Props {
  title: string;
  note: string;
  go: string;
  ready: boolean;
  close: () => void;
  act: () => Promise<void>;
  /** What is said where it did not work. */
  said?: (error: Error) => string;
  children?: ComponentChildren;
}

/** A form in a dialog; it stays, with what went wrong, until the service has done it. */
export function Doing({ title, note, go, ready, close, act, said = (error) => text.people.notDone(error.message), children }: Props) {
  const [busy, setBusy] = useState(false);
  const [failure, fail] = useState("");
  const give = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    fail("");
    try {
      await act();
      return;
    } catch (error) {
      fail(said(error as Error));
    }
    setBusy(false);
  };
  return (
    <Dialog title={title} close={close}>
      <form class="doing" onSubmit={(event) => void give(event)}>
        {note && <p class="muted">{note}</p>}
        {children}
        <p class="wrong" role="alert">
          {failure && <Mark />} {failure}
        </p>
        <div class="actions">
          <button class="plain" type="button" onClick={close}>
            {text.cancel}
          </button>
          <button class="plain main" type="submit" disabled={!ready || busy}>
            {go}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** Why, for the audit trail. */
export function Reason({ value, set }: { value: string; set: (reason: string) => void }) {
  return (
    <label class="field">
      {text.people.reason}
      <textarea rows={2} maxLength={500} value={value} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
}
