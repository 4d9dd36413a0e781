// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ChannelDescriptor} from "./Channel.sol";
import {Consent, Receipt, SignerGrant} from "./Receipt.sol";

/// @notice What an arbiter says of an answer.
enum Ruling {
    Pending,
    Upheld,
    Rejected
}

enum Verdict {
    None,
    Open,
    Upheld
}

/// @notice Everything that a challenge brings; nothing of it needs to have been posted before.
/// @param receiptSig 64-byte EIP-2098 by grant.signer
/// @param grantSig 64-byte EIP-2098 by the model's owner
/// @param descriptor the channel named by receipt.channelId
/// @param consent ignored where the sender is beneficiary or payer
/// @param consentSig 64-byte EIP-2098 by beneficiary or payer; empty where the sender is one of them
/// @param evidence for the version's arbiter
struct Case {
    Receipt receipt;
    bytes receiptSig;
    SignerGrant grant;
    bytes grantSig;
    ChannelDescriptor descriptor;
    Consent consent;
    bytes consentSig;
    bytes evidence;
}
