import type { ModelProvider } from '@cupel/protocol/crd/objects';
import type { Hex } from '@cupel/protocol/hex';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import type { ClaimPostRequest } from '@cupel/protocol/wire/bus';
import type { ClaimState } from '@cupel/protocol/wire/projections';

/** cupel.v1.edge.<namespace>.<name>.claims.post → whose edge asks. The bus lets an edge's user publish on its own subject only. */
export const edgeOf = (subject: string): { readonly namespace: string; readonly edge: string } | undefined => {
  const match = /^cupel\.v1\.edge\.([^.]+)\.([^.]+)\.claims\.post$/.exec(subject);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { namespace: match[1], edge: match[2] };
};

/** The ModelProvider behind a request: one of the asking edge that serves this version. An edge may not post for another's. */
export const claimant = (objects: readonly ModelProvider[], subject: string, request: ClaimPostRequest): ModelProvider | Refusal => {
  const from = edgeOf(subject);
  if (from === undefined) return refuse('forbidden', `${subject} is not the subject of an edge`);
  const mine = objects.filter(({ metadata, spec }) => metadata.namespace === from.namespace && spec.edgeRef.name === from.edge);
  const found = mine.find(({ status }) => status?.onChain?.versionId === request.versionId);
  return found ?? refuse('version_unknown', `no ModelProvider of edge ${from.namespace}/${from.edge} serves version ${request.versionId}`);
};

/** Claims whose window has closed by the time of the head, earliest first. */
export const due = (claims: readonly ClaimState[], headTimestamp: number): readonly ClaimState[] =>
  claims
    .filter(({ status, finalizableAt }) => status === 'open' && finalizableAt <= headTimestamp)
    .toSorted((a, b) => a.finalizableAt - b.finalizableAt);

export const claimKey = (claimId: Hex): string => `claim:${claimId}`;
