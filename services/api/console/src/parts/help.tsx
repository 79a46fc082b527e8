import { text } from "../text";
import { Dialog } from "./dialog";

export function Help({ close }: { close: () => void }) {
  return (
    <Dialog title={text.help.title} close={close}>
      <div class="help">
        {text.help.groups.map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.keys.map(([keys, what]) => (
                <div key={keys} class="shortcut">
                  <dt>
                    {keys.split(" ").map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
