import { spawn } from 'node:child_process';
import { cp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from './command.ts';

/*
 * A node without root. A normal user is uid 0 of a user namespace whose other ids are the user's subordinate ids (/etc/subuid): what a pod
 * writes belongs to such an id outside. Any namespace with the same map may read and remove it, also after the cluster is gone.
 */

/** Whether this process, outside of any cluster, needs a user namespace for a node. */
export const rootless: boolean = process.getuid?.() !== 0;

/** Flags of unshare(1): the user becomes 0, the first subordinate range the ids from 1 (util-linux 2.38, uidmap). */
export const userNamespaceFlags: readonly string[] = rootless ? ['--user', '--map-root-user', '--map-auto'] : [];

/** A command line that runs as the node's root: itself for root, in a user namespace for anyone else. */
export function asNodeRoot(command: string, args: readonly string[], needed: boolean = rootless): [string, string[]] {
  return needed ? ['unshare', ['--user', '--map-root-user', '--map-auto', '--', command, ...args]] : [command, [...args]];
}

/** Runs a program as the node's root. @throws as `run` does. */
export async function runAsNodeRoot(command: string, args: readonly string[]): Promise<string> {
  return run(...asNodeRoot(command, args));
}

/** Removes a folder, whichever id of the node its files belong to; no error when there is none. */
export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(async (error: unknown) => {
    if (!rootless) throw error;
    await runAsNodeRoot('rm', ['-rf', '--', path]);
  });
}

/** The same in the background, outliving this process. */
export function removeFolderLater(path: string): void {
  const [command, args] = asNodeRoot('rm', ['-rf', path]);
  spawn(command, args, { detached: true, stdio: 'ignore' }).unref();
}

/** Copies files that a pod wrote into a folder of ours; the copies are ours. */
export async function copyFromNode(files: readonly string[], folder: string): Promise<void> {
  if (files.length === 0) return;
  if (rootless) await runAsNodeRoot('cp', ['--', ...files, folder]);
  else for (const file of files) await cp(file, join(folder, basename(file)));
}
