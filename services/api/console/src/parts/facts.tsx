import type { ComponentChildren } from "preact";

export type Fact = [string, ComponentChildren];

/** Terms and what is known of them. */
export function FactList({ facts }: { facts: Fact[] }) {
  return (
    <dl>
      {facts.map(([term, fact]) => (
        <>
          <dt key={`t-${term}`}>{term}</dt>
          <dd key={`d-${term}`}>{fact}</dd>
        </>
      ))}
    </dl>
  );
}
