import { permissionsOf } from './permissions.ts';
import type { BusUser } from './permissions.ts';

export interface BusAccount {
  /** Letters, digits, "-" and "_". One account per party; nothing is exported between them. */
  readonly name: string;
  readonly users: readonly (BusUser & {
    /** Plain (at least 16 characters) or a bcrypt hash ($2a$…). */
    readonly password: string;
  })[];
}

export interface NatsConfigOptions {
  readonly accounts: readonly BusAccount[];
  readonly storeDir: string;
  /** Default 4222. */
  readonly port?: number;
  /** Monitoring endpoints for probes; default 8222. */
  readonly monitorPort?: number;
  /** Default 1 GiB. */
  readonly maxFileStoreBytes?: number;
}

/** The whole configuration file of a nats-server for parties on one cluster. It carries passwords: keep it in a Secret. */
export const renderNatsConfig = (options: NatsConfigOptions): string =>
  [
    `port: ${options.port ?? 4222}`,
    `http_port: ${options.monitorPort ?? 8222}`,
    'jetstream {',
    `  store_dir: ${quote(options.storeDir)}`,
    `  max_file_store: ${options.maxFileStoreBytes ?? 1024 ** 3}`,
    '  max_memory_store: 67108864',
    '  sync_interval: always',
    '}',
    renderAccounts(options.accounts),
  ].join('\n');

/** The part of the configuration that names accounts, users and permissions. */
export const renderAccounts = (accounts: readonly BusAccount[]): string =>
  ['max_payload: 8388608', 'accounts {', ...accounts.flatMap(renderAccount), '}', ''].join('\n');

const renderAccount = (account: BusAccount): string[] => [
  `  ${name(account.name)}: {`,
  '    jetstream: enabled',
  '    users: [',
  ...account.users.flatMap(renderUser),
  '    ]',
  '  }',
];

const renderUser = (user: BusAccount['users'][number]): string[] => {
  const { publish, subscribe } = permissionsOf(user);
  return [
    '      {',
    `        user: ${quote(name(user.user))}, password: ${quote(password(user))}`,
    '        permissions: {',
    `          publish: { allow: [${publish.map(quote).join(', ')}] }`,
    `          subscribe: { allow: [${subscribe.map(quote).join(', ')}] }`,
    '          allow_responses: { max: 1, expires: "2m" }',
    '        }',
    '      }',
  ];
};

const name = (text: string): string => {
  if (!/^[A-Za-z0-9_-]{1,63}$/.test(text)) throw new Error(`"${text}" is no name of an account or user: letters, digits, "-" and "_"`);
  return text;
};

const password = ({ user, password: text }: BusAccount['users'][number]): string => {
  if (text.length < 16) throw new Error(`the password of the bus user "${user}" is shorter than 16 characters`);
  if (!/^[\x21-\x7e]+$/.test(text) || /["\\]/.test(text)) {
    throw new Error(`the password of the bus user "${user}" has characters other than printable ASCII, or a quote or a backslash`);
  }
  return text;
};

/** Between double quotes `$` and `>` are themselves. */
const quote = (text: string): string => {
  if (/["\\\n]/.test(text)) throw new Error('a value of the NATS configuration must not have quotes, backslashes or line ends');
  return `"${text}"`;
};
