import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { containerdConfig, kubeletConfig } from '../src/node-config.ts';
import { asNodeRoot, copyFromNode, removeFolder } from '../src/rootless.ts';

describe('asNodeRoot', () => {
  it('leaves the command of root alone', () => {
    expect(asNodeRoot('rm', ['-rf', 'x'], false)).toEqual(['rm', ['-rf', 'x']]);
  });
  it("gives anyone else a namespace in which pods' ids are known", () => {
    expect(asNodeRoot('rm', ['-rf', 'x'], true)).toEqual(['unshare', ['--user', '--map-root-user', '--map-auto', '--', 'rm', '-rf', 'x']]);
  });
});

describe('the settings of the node', () => {
  const kubelet = (rootless: boolean): Record<string, unknown> =>
    JSON.parse(kubeletConfig({ folder: '/f', certificates: '/c', cgroup: '/cupel-1-2', rootless }));
  const containerd = (rootless: boolean): string => containerdConfig({ folder: '/f', cniPlugins: '/p', pauseImage: 'pause:1', rootless });

  it('write cgroups for root', () => {
    expect(kubelet(false)).toMatchObject({ cgroupRoot: '/cupel-1-2' });
    for (const name of ['featureGates', 'cgroupsPerQOS', 'enforceNodeAllocatable']) expect(kubelet(false)).not.toHaveProperty(name);
    expect(containerd(false)).not.toContain('disable_cgroup');
  });
  it('write none in a user namespace', () => {
    const config = kubelet(true);
    expect(config).toMatchObject({ featureGates: { KubeletInUserNamespace: true }, cgroupsPerQOS: false, enforceNodeAllocatable: [] });
    expect(config).not.toHaveProperty('cgroupRoot');
    expect(containerd(true)).toMatch(/^ {2}disable_cgroup = true$/m);
  });
});

describe('the files of the node', () => {
  let root = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'cupel-rootless-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('removes a folder, and does not mind when there is none', async () => {
    await mkdir(join(root, 'a', 'b'), { recursive: true });
    await removeFolder(join(root, 'a'));
    await removeFolder(join(root, 'a'));
    expect(await readdir(root)).toEqual([]);
  });
  it('says why a copy failed', async () => {
    await expect(copyFromNode([join(root, 'absent')], root)).rejects.toThrow(/absent/);
  });
});
