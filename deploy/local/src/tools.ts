import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder, cacheKey } from './cache.ts';
import { run } from './command.ts';
import { cacheRoot, inheritedEnvironment, packageFolder } from './config.ts';
import { type Note, quiet } from './progress.ts';

const kubernetesVersion = '1.35.3';
const versionVariables = 'k8s.io/component-base/version';

/** The programs that we build from Go modules, by group; a group is one cache entry. */
const groups = {
  kube: {
    module: 'kube',
    sources: [],
    ldflags: `-s -w -X ${versionVariables}.gitVersion=v${kubernetesVersion} -X ${versionVariables}.gitMajor=1 -X ${versionVariables}.gitMinor=35 -X ${versionVariables}.gitTreeState=clean`,
    packages: {
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
      kubelet: 'k8s.io/kubernetes/cmd/kubelet',
      'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
      etcd: 'go.etcd.io/etcd/server/v3',
    },
  },
  node: {
    module: 'kube',
    sources: ['fakegpu/main.go', 'pause/main.go'],
    ldflags: '-s -w',
    packages: { fakegpu: './fakegpu', pause: './pause' },
  },
  extra: {
    module: 'extra',
    sources: [],
    ldflags: '-s -w',
    packages: {
      coredns: 'github.com/coredns/coredns',
      'nats-server': 'github.com/nats-io/nats-server/v2',
      helm: 'helm.sh/helm/v4/cmd/helm',
    },
  },
} as const;

export type ToolGroup = keyof typeof groups;
export type Tool = {
  [G in ToolGroup]: keyof (typeof groups)[G]['packages'];
}[ToolGroup];

const groupNames = ['kube', 'node', 'extra'] as const satisfies readonly ToolGroup[];

/** Every program, in the order in which they are built. */
export const toolNames: readonly string[] = groupNames.flatMap((group) => Object.keys(groups[group].packages));

/** Folder of the programs of a group: taken from the cache, or built into it (minutes, once). */
export async function toolFolder(group: ToolGroup, note: Note = quiet): Promise<string> {
  const { module, sources, ldflags, packages } = groups[group];
  const moduleFolder = join(packageFolder, 'tools', module);
  const env = { ...inheritedEnvironment, GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off' };
  const inputs: Record<string, string> = { ldflags, packages: JSON.stringify(packages) };
  for (const file of ['go.mod', 'go.sum', ...sources]) inputs[file] = await readFile(join(moduleFolder, file), 'utf8');
  inputs['go'] = (await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH', 'GOAMD64'], { cwd: moduleFolder, env })).trim();
  return cachedFolder(
    cacheRoot,
    'tools',
    `${group}-${cacheKey(inputs)}`,
    async (folder) => {
      const targets = Object.entries(packages);
      for (const [index, [name, path]] of targets.entries()) {
        note(`build ${name} (${index + 1} of ${targets.length})`);
        await run('go', ['build', '-trimpath', '-ldflags', ldflags, '-o', join(folder, name), path], { cwd: moduleFolder, env });
      }
    },
    () => note('another checkout is building the same programs; waiting for it'),
  );
}

/** Path of one program, built if the cache lacks it. */
export async function toolBinary(tool: Tool, note: Note = quiet): Promise<string> {
  const group = groupNames.find((name) => Object.hasOwn(groups[name].packages, tool));
  if (group === undefined) throw new Error(`no such tool: ${tool}; known are ${toolNames.join(', ')}`);
  return join(await toolFolder(group, note), tool);
}
