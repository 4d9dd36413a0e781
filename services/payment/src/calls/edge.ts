import type { Receipt, Session } from '@cupel/protocol/eip712';
import { bytesToHex, utf8 } from '@cupel/protocol/hex';
import type { Hex } from '@cupel/protocol/hex';
import { channelIdOf, paramsHashOf } from '@cupel/protocol/ids';
import { refuse } from '@cupel/protocol/reasons';
import type { Refusal } from '@cupel/protocol/reasons';
import { unixSeconds } from '@cupel/protocol/time';
import type { ChargeRequest, ChargeValue, SessionRequest } from '@cupel/protocol/wire/bus';
import type { ReceiptEnvelope, SignedGrant } from '@cupel/protocol/wire/receipt';
import { encodeJson } from '@cupel/protocol/wire/scalars';

import { notOpen } from '../ledger/channel.ts';
import { chargeRequest } from '../ledger/charge.ts';
import type { ReceiptChecks } from '../voucher/receipt.ts';
import type { CallDeps, IncomingCalls } from './incoming.ts';
import { createQuota } from './quota.ts';

export interface Grants {
  /** The owner's leave for our key to sign receipts of this version. */
  of(versionId: Hex): SignedGrant | undefined;
}

export interface EdgeDeps extends CallDeps {
  readonly common: IncomingCalls;
  readonly receipts: ReceiptChecks;
  readonly grants: Grants;
  /** Signs receipts and nothing else. */
  readonly receiptSigner: { readonly address: Hex; sign(digest: Uint8Array): Hex };
}

export interface EdgeCalls {
  session(request: SessionRequest): Promise<{ readonly channelId: Hex; readonly notAfter: bigint; readonly maxUnpaid: bigint } | Refusal>;
  charge(request: ChargeRequest): Promise<ChargeValue | Refusal>;
}

/** A payer's routers agree on a session once a week; restarts and replicas ask more often. */
const SESSIONS_PER_MINUTE = 60;

const tooMany = (channelId: Hex): Refusal =>
  refuse('too_many_requests', `the channel ${channelId} has opened ${SESSIONS_PER_MINUTE} sessions within a minute`);

export const edgeCalls = (deps: EdgeDeps): EdgeCalls => {
  const { ledger, facts, common, keccak, receipts, nowMs } = deps;
  const sessions = createQuota({ limit: SESSIONS_PER_MINUTE, windowMs: 60_000, nowMs });

  /** undefined: this version's answers can be billed. */
  const grantFor = (versionId: Hex, modelId: Hex): SignedGrant | Refusal => {
    const { address } = deps.receiptSigner;
    const grant = deps.grants.of(versionId);
    if (!grant)
      return refuse(
        'version_unknown',
        `there is no SignerGrant of the version ${versionId} for the receipt key ${address}; add it to grantsFile`,
      );
    if (grant.notAfter < unixSeconds(nowMs())) {
      return refuse(
        'version_unknown',
        `the SignerGrant of the version ${versionId} ended at ${grant.notAfter}; have the owner sign a new one`,
      );
    }
    const owner = facts.ownerOf(modelId);
    // Who may grant is the registry's word alone: without it a receipt could bear a grant that no court takes.
    if (!owner) return refuse('version_unknown', `the registry does not show the model ${modelId} (yet)`, { param: 'modelId' });
    return receipts.checkGrant(grant, owner) ?? grant;
  };

  return {
    async session({ descriptor, session, signature }) {
      const channelId = channelIdOf(keccak, descriptor);
      const refusal =
        checkSession(channelId, session) ??
        common.checkStranger(channelId, descriptor) ??
        deps.checks.checkSession(descriptor, session, signature) ??
        // After the signature: nobody but the payer uses up its channel's share.
        (sessions.take(channelId) ? undefined : tooMany(channelId));
      if (refusal) return refusal;
      const channel = await common.register(descriptor, null);
      if ('reason' in channel) return channel;
      return notOpen(channel) ?? { channelId, notAfter: session.notAfter, maxUnpaid: session.maxUnpaid };
    },

    async charge(request) {
      const { draft, requestId, modelId, publicName, leaseId, price } = request;
      if (!draft) return refuse('invalid_field', 'a charge at an edge needs a draft of the receipt', { param: 'draft' });
      const grant = grantFor(draft.versionId, modelId);
      if ('reason' in grant) return grant;
      const issuedAt = unixSeconds(nowMs());
      const { params, ...facts712 } = draft;
      const seal = (charged: bigint, cumulative: bigint, beneficiary: Hex): { envelope: ReceiptEnvelope; receiptDigest: Hex } => {
        const paramsHash = paramsHashOf(keccak, params);
        const receipt: Receipt = { ...facts712, requestId, paramsHash, price: charged, cumulative, beneficiary, issuedAt };
        const digest = receipts.receiptDigest(receipt);
        return {
          envelope: { version: 1, receipt, signature: deps.receiptSigner.sign(digest), grant, params },
          receiptDigest: bytesToHex(digest),
        };
      };
      const fingerprint = bytesToHex(keccak(utf8(encodeJson({ price, modelId, draft }))));
      const command = {
        kind: 'draft',
        requestId,
        leaseId,
        price,
        modelId,
        publicName,
        fingerprint,
        payload: common.sealPayload(requestId, request.payload),
        exposure: common.exposure(),
        nowMs: nowMs(),
        channelId: draft.channelId,
        versionId: draft.versionId,
        seal,
      } as const;
      return common.answerCharge(await ledger.submit((view) => chargeRequest(view, command)));
    },
  };

  function checkSession(channelId: Hex, session: Session): Refusal | undefined {
    if (session.channelId !== channelId) {
      return refuse('invalid_field', 'the descriptor does not hash to the session’s channel id', { param: 'session.channelId' });
    }
    if (session.notAfter < unixSeconds(nowMs())) {
      return refuse('session_expired', `the session ended at ${session.notAfter}`, { param: 'session.notAfter' });
    }
    return undefined;
  }
};
