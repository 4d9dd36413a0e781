import { homedir } from 'node:os';
import { join } from 'node:path';

// The only line of this package that reads the environment.
const { CUPEL_CACHE, XDG_CACHE_HOME, CUPEL_STATE, CUPEL_DEBIAN_MIRROR, ...rest } = process.env;

/** Everything else of the environment, handed to child processes unchanged. */
export const inheritedEnvironment: NodeJS.ProcessEnv = rest;

/** Folder of everything that is built or fetched once for all checkouts: `$CUPEL_CACHE`, else `$XDG_CACHE_HOME/cupel`, else `~/.cache/cupel`. */
export const cacheRoot: string = CUPEL_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cupel');

/** The folder of this package and of the whole checkout. */
export const packageFolder: string = join(import.meta.dirname, '..');
export const checkoutFolder: string = join(packageFolder, '..', '..');

/** State of the checkout's own cluster: `$CUPEL_STATE`, else `.cupel/cluster` in the checkout. */
export const defaultStateFolder: string = CUPEL_STATE ?? join(checkoutFolder, '.cupel', 'cluster');

/** A Debian mirror for machines whose apt names none (Ubuntu). */
export const debianMirror: string | undefined = CUPEL_DEBIAN_MIRROR;
