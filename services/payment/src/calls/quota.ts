export interface Quota {
  /** false: the name has had its share of this window. */
  take(name: string): boolean;
}

/** At most `limit` per name and window; all names are forgotten when a window ends, so that memory stays with what came within one. */
export const createQuota = (options: { readonly limit: number; readonly windowMs: number; readonly nowMs: () => number }): Quota => {
  const taken = new Map<string, number>();
  let startedAtMs = -Infinity;
  return {
    take(name) {
      const now = options.nowMs();
      if (now - startedAtMs >= options.windowMs) {
        taken.clear();
        startedAtMs = now;
      }
      const before = taken.get(name) ?? 0;
      if (before >= options.limit) return false;
      taken.set(name, before + 1);
      return true;
    },
  };
};
