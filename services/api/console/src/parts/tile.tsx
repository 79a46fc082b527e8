/** A figure with its name; marked where it is not as it should be. */
export function Tile({ label, value, detail = "", wrong = false }: { label: string; value: string; detail?: string; wrong?: boolean }) {
  return (
    <div class={wrong ? "tile wrong" : "tile"}>
      <dt>{label}</dt>
      <dd>
        {wrong && <Mark />}
        {value} {detail && <span class="muted">{detail}</span>}
      </dd>
    </div>
  );
}

/** A sign beside a figure that is not as it should be: colour alone says nothing. */
export function Mark() {
  return (
    <svg viewBox="0 0 16 16" width="14" height="14" class="mark-wrong" aria-hidden="true">
      <path d="M8 1.5 15.2 14H.8Z" class="fill" />
      <path d="M8 6v4M8 11.4v1" class="mark" />
    </svg>
  );
}
