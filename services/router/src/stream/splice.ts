export class SpliceError extends Error {
  override readonly name = 'SpliceError';
}

interface Member {
  readonly key: string;
  readonly valueStart: number;
  readonly valueEnd: number;
}

const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, COMMA, COLON] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x3a];
const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;

/** End of the string that begins at `at` (after its closing quote). */
const skipString = (bytes: Uint8Array, at: number): number => {
  let i = at + 1;
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i + 1;
};

/** End of the value that begins at `at`. The bytes are known to be valid JSON. */
const skipValue = (bytes: Uint8Array, at: number): number => {
  if (bytes[at] === QUOTE) return skipString(bytes, at);
  if (bytes[at] !== OPEN && bytes[at] !== OPEN_LIST) {
    let i = at;
    while (i < bytes.length && bytes[i] !== COMMA && bytes[i] !== CLOSE && !isSpace(bytes[i])) i += 1;
    return i;
  }
  let depth = 0;
  for (let i = at; i < bytes.length;) {
    const byte = bytes[i];
    if (byte === QUOTE) {
      i = skipString(bytes, i);
      continue;
    }
    if (byte === OPEN || byte === OPEN_LIST) depth += 1;
    if (byte === CLOSE || byte === CLOSE_LIST) depth -= 1;
    i += 1;
    if (depth === 0) return i;
  }
  throw new SpliceError('the body is not a whole JSON object');
};

const membersOf = (bytes: Uint8Array): { readonly open: number; readonly members: readonly Member[] } => {
  let at = 0;
  const skipSpace = (): void => {
    while (isSpace(bytes[at])) at += 1;
  };
  skipSpace();
  if (bytes[at] !== OPEN) throw new SpliceError('the body is not a JSON object');
  const open = at;
  at += 1;
  const members: Member[] = [];
  for (;;) {
    skipSpace();
    if (bytes[at] === COMMA) {
      at += 1;
      continue;
    }
    if (bytes[at] === CLOSE) return { open, members };
    if (bytes[at] !== QUOTE) throw new SpliceError('the body is not a JSON object');
    const keyEnd = skipString(bytes, at);
    const key = JSON.parse(Buffer.from(bytes.subarray(at, keyEnd)).toString('utf8')) as string;
    at = keyEnd;
    skipSpace();
    if (bytes[at] !== COLON) throw new SpliceError('the body is not a JSON object');
    at += 1;
    skipSpace();
    const valueStart = at;
    at = skipValue(bytes, at);
    members.push({ key, valueStart, valueEnd: at });
  }
};

/** The first key that stands twice at the top level: two parsers may read such a body differently. `bytes`: a valid JSON object. */
export const duplicateKey = (bytes: Uint8Array): string | undefined => {
  const seen = new Set<string>();
  for (const { key } of membersOf(bytes).members) {
    if (seen.has(key)) return key;
    seen.add(key);
  }
  return undefined;
};

/**
 * Sets top-level members of a JSON object by splicing its bytes: an existing value is replaced where it stands, a new member goes first,
 * every other byte stays. `bytes`: a valid JSON object without duplicate keys. Throws {@link SpliceError}.
 */
export const spliceMembers = (bytes: Uint8Array, set: Readonly<Record<string, unknown>>): Buffer => {
  const names = Object.keys(set);
  if (names.length === 0) return Buffer.from(bytes);
  const { open, members } = membersOf(bytes);
  const present = members.filter((m) => Object.hasOwn(set, m.key));
  const fresh = names.filter((name) => !present.some((m) => m.key === name));
  const parts: Uint8Array[] = [bytes.subarray(0, open + 1)];
  if (fresh.length > 0) {
    const text = fresh.map((name) => `${JSON.stringify(name)}:${JSON.stringify(set[name])}`).join(',');
    parts.push(Buffer.from(members.length === 0 ? text : `${text},`));
  }
  let from = open + 1;
  for (const member of present) {
    parts.push(bytes.subarray(from, member.valueStart), Buffer.from(JSON.stringify(set[member.key])));
    from = member.valueEnd;
  }
  parts.push(bytes.subarray(from));
  return Buffer.concat(parts);
};
