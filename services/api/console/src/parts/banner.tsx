import { elapsed } from "../clock";
import { age } from "../format";
import { useModel } from "../hooks";
import { text } from "../text";

/** Says at once that what is shown is not live. */
export function Banner() {
  const model = useModel();
  if (!model.connected && model.everConnected) {
    const silence = age((elapsed() - model.lastHeard) / 1000);
    return (
      <div class="banner lost" role="alert">
        <strong>{text.connection.lost}.</strong> {text.connection.lostDetail(silence)}
      </div>
    );
  }
  if (elapsed() - model.lagging < 10_000) {
    return (
      <div class="banner lagging" role="status">
        {text.connection.lagging}
      </div>
    );
  }
  return null;
}
