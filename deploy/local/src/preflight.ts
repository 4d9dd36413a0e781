import { run } from './command.ts';
import { inheritedEnvironment } from './config.ts';
import { type Check, type PreflightLayer, rootChecks } from './preflight-kernel.ts';
import { userChecks } from './preflight-user.ts';
import { rootless } from './rootless.ts';

const layers: readonly PreflightLayer[] = ['tools', 'control-plane', 'cluster'];

/** First two or three numbers of a version text: `go version go1.26.8 linux/amd64` is [1, 26, 8]. Empty when there are none. */
export function parseVersion(text: string): number[] {
  const [match] = /\d+\.\d+(\.\d+)?/.exec(text) ?? [];
  return match === undefined ? [] : match.split('.').map(Number);
}

/** True when `found` is `wanted` or later, compared number by number. */
export function atLeast(found: readonly number[], wanted: readonly number[]): boolean {
  if (found.length === 0) return false;
  for (const [index, number] of wanted.entries()) {
    const other = found[index] ?? 0;
    if (other !== number) return other > number;
  }
  return true;
}

interface ProgramCheck {
  readonly layer: PreflightLayer;
  readonly program: string;
  readonly args: readonly string[];
  readonly atLeast?: readonly number[];
  readonly remedy: string;
}

const programs: readonly ProgramCheck[] = [
  { layer: 'tools', program: 'make', args: ['--version'], remedy: 'apt-get install make' },
  { layer: 'tools', program: 'node', args: ['--version'], atLeast: [20], remedy: 'install Node.js 20 or later (nodejs.org)' },
  { layer: 'tools', program: 'npm', args: ['--version'], remedy: 'install npm; it comes with Node.js' },
  { layer: 'tools', program: 'go', args: ['version'], atLeast: [1, 26], remedy: 'install Go 1.26 or later (go.dev/dl)' },
  { layer: 'tools', program: 'python3', args: ['--version'], atLeast: [3, 10], remedy: 'apt-get install python3' },
  { layer: 'tools', program: 'python3', args: ['-m', 'pip', '--version'], remedy: 'apt-get install python3-pip' },
  { layer: 'tools', program: 'apt-get', args: ['--version'], remedy: 'use Debian or Ubuntu: packages are fetched with apt-get' },
  { layer: 'tools', program: 'dpkg-deb', args: ['--version'], remedy: 'apt-get install dpkg' },
  { layer: 'tools', program: 'tar', args: ['--version'], remedy: 'apt-get install tar' },
  { layer: 'tools', program: 'flock', args: ['--version'], remedy: 'apt-get install util-linux' },
  { layer: 'control-plane', program: 'openssl', args: ['version'], atLeast: [3, 0], remedy: 'apt-get install openssl (3.0 or later)' },
  { layer: 'control-plane', program: 'setpriv', args: ['--version'], remedy: 'apt-get install util-linux' },
  { layer: 'cluster', program: 'ip', args: ['-V'], remedy: 'apt-get install iproute2' },
  rootless
    ? {
        layer: 'cluster',
        program: 'unshare',
        args: ['--version'],
        atLeast: [2, 38],
        remedy: 'install util-linux 2.38 or later, or run as root',
      }
    : { layer: 'cluster', program: 'unshare', args: ['--version'], remedy: 'apt-get install util-linux' },
];

const ownCluster =
  'or use a cluster of your own: helm install from charts/ with your KUBECONFIG; README.md, "On your own cluster", says how';
/** Runs every check of the layer and of those below it; takes well below a second. Changes nothing. */
export async function preflight(upTo: PreflightLayer = 'cluster'): Promise<Check[]> {
  const wanted = layers.slice(0, layers.indexOf(upTo) + 1);
  const checks = await Promise.all(programs.filter(({ layer }) => wanted.includes(layer)).map(checkProgram));
  checks.push(await platform());
  if (upTo === 'cluster') checks.push(...(await (rootless ? userChecks() : rootChecks())));
  return checks;
}

/** @throws an error that lists what failed and the remedies, when the machine does not offer the layer. */
export async function requireLayer(layer: PreflightLayer): Promise<void> {
  const failed = (await preflight(layer)).filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  const lines = failed.map(({ name, found, remedy }) => `  ${name}: ${found}\n    remedy: ${remedy}`);
  const other = layer === 'cluster' ? `\n  ${ownCluster}` : '';
  throw new Error(`this machine cannot offer the layer "${layer}":\n${lines.join('\n')}${other}`);
}

async function checkProgram(check: ProgramCheck): Promise<Check> {
  const name = check.args[0] === '-m' ? 'pip' : check.program;
  const { layer, remedy } = check;
  try {
    const text = (await run(check.program, check.args, { env: inheritedEnvironment })).split('\n')[0]?.trim() ?? '';
    const ok = check.atLeast === undefined || atLeast(parseVersion(text), check.atLeast);
    return { layer, name, ok, found: ok ? text : `${text}; ${check.atLeast?.join('.')} or later is needed`, remedy };
  } catch {
    return { layer, name, ok: false, found: 'not found', remedy };
  }
}

async function platform(): Promise<Check> {
  const ok = process.platform === 'linux' && process.arch === 'x64';
  const found = `${process.platform}/${process.arch}`;
  return { layer: 'tools', name: 'platform', ok, found, remedy: 'use Linux on x86-64; the pinned packages are for that' };
}
