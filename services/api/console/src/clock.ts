/** From which difference on the clock was set, or the machine has slept; less is what two clocks differ by. */
const STEP_MS = 500;

let [steady, wall, slept] = [performance.now(), Date.now(), 0];

/**
 * Time that has passed [ms], from some instant on: it never goes back, as the display's clock may when it is set, and
 * goes on while the machine sleeps, as the steady clock may not.
 */
export function elapsed(): number {
  const [nowSteady, nowWall] = [performance.now(), Date.now()];
  const more = nowWall - wall - (nowSteady - steady);
  if (more > STEP_MS) slept += more;
  [steady, wall] = [nowSteady, nowWall];
  return nowSteady + slept;
}
