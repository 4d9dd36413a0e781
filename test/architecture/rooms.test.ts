import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

/**
 * The fences of docs/architecture.md, read from the source: who may import whom, which folder is pure, who alone touches a client library.
 */
const root = resolve(import.meta.dirname, '../..');

const walk = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'out' || entry.name === 'cache') return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : entry.name.endsWith('.ts') ? [path] : [];
  });

interface Source {
  /** Path from the root: services/router/src/choose/score.ts */
  path: string;
  text: string;
  imports: string[];
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g;

const sources: Source[] = ['packages', 'services']
  .flatMap((top) => readdirSync(join(root, top)).map((room) => join(root, top, room, 'src')))
  .flatMap((folder) => walk(folder))
  .map((path) => {
    const text = readFileSync(path, 'utf8');
    return { path: relative(root, path), text, imports: [...text.matchAll(IMPORT)].map((m) => (m[1] ?? m[2] ?? m[3])!) };
  });

const packageOf = (path: string) => path.split('/').slice(0, 2).join('/');
const inside = (path: string) => path.split('/').slice(3);
const offenders = (rule: (source: Source) => string | undefined) =>
  sources.flatMap((s) => {
    const why = rule(s);
    return why ? [`${s.path}: ${why}`] : [];
  });

/** Package → what of ours it may import. */
const MAY_IMPORT: Record<string, string[]> = {
  'packages/protocol': [],
  'packages/integer': [],
  'packages/kube': [],
  'packages/signing': ['protocol'],
  'packages/runtime': ['protocol'],
  'packages/bus': ['protocol'],
  'packages/chain': ['protocol', 'signing'],
  'packages/testing': ['protocol', 'signing', 'local', 'bus', 'chain', 'runtime', 'kube', 'integer'],
};
const PACKAGES = ['protocol', 'integer', 'kube', 'signing', 'runtime', 'bus', 'chain', 'testing'];

describe('directions', () => {
  test('there is something to look at', () => expect(sources.length).toBeGreaterThan(50));

  test('packages import only what they may, services import packages and never a service', () => {
    expect(
      offenders(({ path, imports }) => {
        const own = packageOf(path);
        const allowed = MAY_IMPORT[own] ?? PACKAGES.filter((p) => p !== 'testing');
        const bad = imports
          .filter((i) => i.startsWith('@cupel/'))
          .map((i) => i.split('/')[1]!)
          .filter((i) => !allowed.includes(i));
        return bad.length ? `imports @cupel/${bad.join(', @cupel/')}` : undefined;
      }),
    ).toEqual([]);
  });

  test('no file reaches into another room by a relative path', () => {
    expect(
      offenders(({ path, imports }) => {
        const bad = imports
          .filter((i) => i.startsWith('.'))
          .filter((i) => packageOf(relative(root, resolve(root, dirname(path), i))) !== packageOf(path));
        return bad.length ? `imports ${bad.join(', ')}` : undefined;
      }),
    ).toEqual([]);
  });

  test.each([
    ['@kubernetes/client-node', 'packages/kube'],
    ['ethers', 'packages/chain'],
    ['nats', 'packages/bus'],
    ['secp256k1', 'packages/signing'],
    ['hash-wasm', 'packages/signing'],
    ['prom-client', 'packages/runtime'],
    ['pino', 'packages/runtime'],
  ])('only one package imports %s', (library, owner) => {
    expect(
      offenders(({ path, imports }) =>
        packageOf(path) !== owner && imports.some((i) => i === library || i.startsWith(`${library}/`)) ? `imports ${library}` : undefined,
      ),
    ).toEqual([]);
  });

  test('protocol imports only zod', () => {
    expect(
      offenders(({ path, imports }) => {
        if (packageOf(path) !== 'packages/protocol') return undefined;
        const bad = imports.filter((i) => !i.startsWith('.') && i !== 'zod');
        return bad.length ? `imports ${bad.join(', ')}` : undefined;
      }),
    ).toEqual([]);
  });
});

/** Folders of a service that are shell, not room. */
const SHELL = new Set(['io', 'cli', 'reconcilers', 'engines']);
const isRoom = (path: string) => {
  if (path.startsWith('packages/protocol/src/') || path.startsWith('packages/integer/src/')) return true;
  if (!path.startsWith('services/')) return false;
  const [first, second] = inside(path);
  if (first === 'reconcilers') return path.endsWith('/decide.ts') || path.endsWith('/status.ts');
  if (first === 'engines') return true;
  return second !== undefined && !SHELL.has(first!);
};

describe('rooms are pure', () => {
  test('there are rooms', () => expect(sources.filter((s) => isRoom(s.path)).length).toBeGreaterThan(20));

  test('no node:*, no client library, no io/', () => {
    const clients = ['ethers', 'nats', 'undici', 'express', '@kubernetes/client-node', 'opossum', 'pino', 'prom-client'];
    expect(
      offenders(({ path, imports }) => {
        if (!isRoom(path)) return undefined;
        const bad = imports.filter((i) => i.startsWith('node:') || clients.includes(i) || /(^|\/)io\//.test(i));
        return bad.length ? `imports ${bad.join(', ')}` : undefined;
      }),
    ).toEqual([]);
  });

  test('no clock, no randomness, no process, no timers', () => {
    expect(
      offenders(({ path, text }) => {
        if (!isRoom(path)) return undefined;
        const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '');
        const bad = code.match(
          /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bprocess\.|\bsetTimeout\(|\bsetInterval\(|\bcrypto\.(?:random|getRandom)|\bperformance\.now\(/,
        );
        return bad ? `uses ${bad[0]}` : undefined;
      }),
    ).toEqual([]);
  });
});

describe('the shell is thin', () => {
  test('only main.ts and cli/ import io/ from outside io/', () => {
    expect(
      offenders(({ path, imports }) => {
        if (!path.startsWith('services/')) return undefined;
        const [first] = inside(path);
        if (first === 'main.ts' || first === 'io' || first === 'cli') return undefined;
        return imports.some((i) => /^\.{1,2}\/(?:.*\/)?io\//.test(i)) ? 'imports io/' : undefined;
      }),
    ).toEqual([]);
  });

  test('process.env stands once per service, in config.ts', () => {
    const lines = sources
      .filter((s) => s.path.startsWith('services/') || s.path.startsWith('packages/'))
      .flatMap((s) => {
        const code = s.text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '');
        return (code.match(/process\.env/g) ?? []).map(() => s.path);
      });
    expect(lines.filter((path) => !/^services\/[^/]+\/src\/config\.ts$/.test(path))).toEqual([]);
    expect(new Set(lines).size).toBe(lines.length);
  });
});

describe('names and sizes', () => {
  test('no barrels, no rooms without a name', () => {
    expect(
      offenders(({ path }) => (/(^|\/)(index|utils?|common|helpers?|shared|misc)(\/|\.ts$)/.test(path) ? 'is no name' : undefined)),
    ).toEqual([]);
  });

  test('no source file passes 300 lines', () => {
    expect(
      offenders(({ path, text }) =>
        text.split('\n').length > 301 && !path.includes('/abi/') ? `${text.split('\n').length} lines` : undefined,
      ),
    ).toEqual([]);
  });
});
