/** What the story claims, each as a line that can be false. The demo exits 1 when one is. */
export interface Check {
  readonly claim: string;
  readonly holds: boolean;
  /** What was found, when it does not hold. */
  readonly found?: string;
}

export class Checks {
  readonly #list: Check[] = [];

  equal(claim: string, left: bigint | number | string, right: bigint | number | string): void {
    this.#list.push({ claim, holds: left === right, ...(left === right ? {} : { found: `${left} ≠ ${right}` }) });
  }

  holds(claim: string, value: boolean, found = ''): void {
    this.#list.push({ claim, holds: value, ...(value ? {} : { found }) });
  }

  get all(): readonly Check[] {
    return this.#list;
  }

  get failed(): readonly Check[] {
    return this.#list.filter((c) => !c.holds);
  }
}
