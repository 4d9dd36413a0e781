import { renderNatsConfig } from '@cupel/bus/nats-config';

import { newToken } from './accounts.ts';

export interface BusUser {
  readonly user: string;
  readonly password: string;
}

/** One user per service instance; one account per trust domain. */
export interface BusUsers {
  readonly operator: BusUser;
  readonly watcher: BusUser;
  readonly gateway: { readonly router: BusUser; readonly payment: BusUser; readonly verifier: BusUser; readonly watcher: BusUser };
  readonly honest: { readonly router: BusUser; readonly payment: BusUser; readonly defender: BusUser };
  readonly cheat: { readonly router: BusUser; readonly payment: BusUser; readonly defender: BusUser };
}

export const newBusUsers = (): BusUsers => {
  const one = (user: string): BusUser => ({ user, password: newToken() });
  const edge = (ns: string) => ({ router: one(`${ns}-router`), payment: one(`${ns}-payment`), defender: one(`${ns}-defender`) });
  return {
    operator: one('operator'),
    watcher: one('watcher'),
    gateway: {
      router: one('gateway-router'),
      payment: one('gateway-payment'),
      verifier: one('gateway-verifier'),
      watcher: one('gateway-watcher'),
    },
    honest: edge('honest'),
    cheat: edge('cheat'),
  };
};

export const natsConfig = (users: BusUsers): string => {
  const edge = (namespace: 'honest' | 'cheat') => {
    const scope = `edge.${namespace}.edge`;
    return [
      { ...users[namespace].router, role: 'edge-router' as const, scope },
      { ...users[namespace].payment, role: 'edge-payment' as const, scope },
      { ...users[namespace].defender, role: 'defender' as const, scope },
    ];
  };
  const scope = 'gateway.main';
  return renderNatsConfig({
    storeDir: '/data',
    accounts: [
      {
        name: 'CLUSTER',
        users: [{ ...users.operator, role: 'operator' }, { ...users.watcher, role: 'watcher' }, ...edge('honest'), ...edge('cheat')],
      },
      {
        name: 'GATEWAY',
        users: [
          { ...users.gateway.router, role: 'gateway-router', scope },
          { ...users.gateway.payment, role: 'gateway-payment', scope },
          { ...users.gateway.verifier, role: 'verifier', scope },
          { ...users.gateway.watcher, role: 'watcher' },
        ],
      },
    ],
  });
};
