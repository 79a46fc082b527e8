/** A share of something as a bar; the figure stands beside it. */
export function Bar({ share }: { share: number }) {
  return (
    <svg viewBox="0 0 100 8" class="bar-line" preserveAspectRatio="none" aria-hidden="true">
      <rect width="100" height="8" class="bar-back" />
      <rect width={Math.max(share > 0 ? 0.8 : 0, 100 * share)} height="8" class="bar-as_left" />
    </svg>
  );
}
