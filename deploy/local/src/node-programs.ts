import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterFiles, type ClusterSpec } from './cluster-spec.ts';
import { packageFolder } from './config.ts';
import { kubeletConfig, nodeAddress, nodeName, proxyConfig } from './node-config.ts';
import { type Child, type ChildSpec, startChild } from './processes/child.ts';
import type { ControlPlane } from './processes/control-plane.ts';

/** A program with the means to start it again. */
export interface Program {
  readonly child: Child;
  readonly start: () => Promise<Child>;
}

/** Starts what makes this machine a node: kubelet, kube-proxy, the NetworkPolicy enforcer and the simulated GPUs. */
export async function startNodePrograms(
  spec: ClusterSpec,
  cgroup: string,
  controlPlane: ControlPlane,
  env: NodeJS.ProcessEnv,
): Promise<Program[]> {
  const { node, logs } = clusterFiles(spec.stateFolder);
  await writeFile(join(node, 'resolv.conf'), 'nameserver 127.0.0.1\n');
  const kubelet = join(node, 'kubelet.json');
  const certificates = controlPlane.certificatesFolder;
  await writeFile(kubelet, kubeletConfig({ folder: node, certificates, cgroup: `/${cgroup}`, rootless: spec.rootless }));
  const proxy = join(node, 'kube-proxy.json');
  await writeFile(proxy, proxyConfig(await controlPlane.writeKubeconfig('kube-proxy')));
  const kubeletKubeconfig = await controlPlane.writeKubeconfig('kubelet');
  const labels = Object.entries(spec.nodeLabels).map(([key, value]) => `${key}=${value}`);

  const begin = async (name: string, command: string, args: readonly string[]): Promise<Program> => {
    const child: ChildSpec = { name, command, args, logPath: join(logs, `${name}.log`), env };
    const start = (): Promise<Child> => startChild(child);
    return { child: await start(), start };
  };
  const programs: Program[] = await Promise.all([
    begin('kubelet', join(spec.kubeTools, 'kubelet'), [
      `--config=${kubelet}`,
      `--kubeconfig=${kubeletKubeconfig}`,
      `--cert-dir=${join(node, 'kubelet-certificates')}`,
      `--hostname-override=${nodeName}`,
      `--node-ip=${nodeAddress}`,
      ...(labels.length > 0 ? [`--node-labels=${labels.join(',')}`] : []),
    ]),
    begin('kube-proxy', join(spec.kubeTools, 'kube-proxy'), [`--config=${proxy}`]),
    begin('network-policy', process.execPath, [join(packageFolder, 'src', 'netpol', 'main.ts'), controlPlane.server, certificates]),
  ]);
  if (spec.gpus > 0) programs.push(await begin('fakegpu', join(spec.nodeTools, 'fakegpu'), ['-n', String(spec.gpus)]));
  return programs;
}
