export const FONT = "12px system-ui, sans-serif";

/** A colour of the theme by its name. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
