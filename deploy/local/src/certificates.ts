import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from './cache.ts';
import { run } from './command.ts';

/** Who a certificate is for: the subject carries user (CN) and group (O) as Kubernetes reads them. */
const clients = {
  admin: '/O=system:masters/CN=admin',
  'controller-manager': '/CN=system:kube-controller-manager',
  scheduler: '/CN=system:kube-scheduler',
  'kube-proxy': '/CN=system:kube-proxy',
  'network-policy': '/O=system:masters/CN=network-policy',
  'apiserver-kubelet-client': '/O=system:masters/CN=apiserver-kubelet-client',
  'front-proxy': '/CN=front-proxy',
} as const;

export type ClientName = keyof typeof clients | 'kubelet';

const days = '3650';

/**
 * Makes the certificate authority, every certificate and the service-account key pair of one cluster in `folder`, unless they are
 * there. Keys are P-256 and readable by the owner only.
 * @param addresses further IP addresses for the API server's certificate, beside 127.0.0.1 and the first of the Service range.
 * @param nodeName makes the kubelet's client certificate (`system:node:<name>`) too.
 */
export async function createCertificates(folder: string, addresses: readonly string[], nodeName?: string): Promise<void> {
  if (await exists(join(folder, 'complete'))) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // The system's own openssl.cnf would add extensions of its choice.
  const config = join(folder, 'openssl.cnf');
  await writeFile(config, '[req]\ndistinguished_name = name\n[name]\n');
  const path = (file: string): string => join(folder, file);
  const issue = (name: string, subject: string, extensions: readonly string[], issuer: readonly string[]): Promise<string> => {
    const request = ['req', '-x509', '-config', config, '-sha256', '-days', days, '-subj', subject];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', path(`${name}.key`)];
    const output = ['-out', path(`${name}.crt`), ...extensions.flatMap((text) => ['-addext', text])];
    return run('openssl', [...request, ...issuer, ...key, ...output]);
  };
  const authority = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
  await issue('ca', '/CN=cupel-local', authority, []);
  const signed = ['-CA', path('ca.crt'), '-CAkey', path('ca.key')];
  const leaf = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature'];
  const names = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map((name) => `DNS:${name}`);
  const ips = [...new Set(['127.0.0.1', '10.96.0.1', ...addresses])].map((address) => `IP:${address}`);
  const server = [...leaf, 'extendedKeyUsage=serverAuth', `subjectAltName=${[...names, ...ips].join(',')}`];
  const subjects: Record<string, string> = { ...clients };
  if (nodeName !== undefined) subjects['kubelet'] = `/O=system:nodes/CN=system:node:${nodeName}`;
  await issue('apiserver', '/CN=kube-apiserver', server, signed);
  for (const [name, subject] of Object.entries(subjects)) await issue(name, subject, [...leaf, 'extendedKeyUsage=clientAuth'], signed);
  await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path('service-account.key')]);
  await run('openssl', ['pkey', '-in', path('service-account.key'), '-pubout', '-out', path('service-account.pub')]);
  await writeFile(path('complete'), '');
}

/** A kubeconfig (as JSON, which every client reads) with everything inside, for one of the clients. */
export async function kubeconfig(folder: string, client: ClientName, server: string): Promise<string> {
  const data = async (file: string): Promise<string> => (await readFile(join(folder, file))).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'cupel-local',
    clusters: [{ name: 'cupel-local', cluster: { server, 'certificate-authority-data': await data('ca.crt') } }],
    contexts: [{ name: 'cupel-local', context: { cluster: 'cupel-local', user: client } }],
    users: [
      {
        name: client,
        user: {
          'client-certificate-data': await data(`${client}.crt`),
          'client-key-data': await data(`${client}.key`),
        },
      },
    ],
  });
}
