// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ChannelDescriptor} from "../types/Channel.sol";
import {Consent, Receipt, SignerGrant} from "../types/Receipt.sol";

/// @title EIP-712 struct hashes of every signed message
/// @notice Frozen: a change is a new version of the domain. packages/protocol holds the same, and both are compared by vectors.
library SignedMessages {
    bytes32 internal constant VOUCHER = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");
    bytes32 internal constant SESSION = keccak256("Session(bytes32 channelId,bytes32 keyHash,uint128 maxUnpaid,uint64 notAfter)");
    bytes32 internal constant OPEN_AUTHORIZATION =
        keccak256("OpenAuthorization(bytes32 channelId,uint128 amount,bytes32 nonce,uint64 deadline)");
    bytes32 internal constant CLOSE_AUTHORIZATION = keccak256("CloseAuthorization(bytes32 channelId,uint128 finalAmount,uint64 deadline)");
    bytes32 internal constant RECEIPT = keccak256(
        "Receipt(bytes32 versionId,bytes32 requestId,bytes32 channelId,bytes32 inputHash,bytes32 outputHash,bytes32 paramsHash,uint64 inputUnits,uint64 outputUnits,uint128 price,uint128 cumulative,address beneficiary,uint64 issuedAt,uint8 outcome)"
    );
    bytes32 internal constant SIGNER_GRANT = keccak256("SignerGrant(bytes32 versionId,address signer,uint64 notAfter)");
    bytes32 internal constant CONSENT = keccak256("Consent(bytes32 receipt,address challenger,uint64 notAfter)");

    /// @return channelId of a descriptor
    function channelId(ChannelDescriptor calldata d) internal pure returns (bytes32) {
        return keccak256(abi.encode(d.payer, d.payee, d.token, d.signerKind, d.signer, d.withdrawDelay, d.salt));
    }

    function voucher(bytes32 id, uint128 maxClaimableAmount) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER, id, maxClaimableAmount));
    }

    function session(bytes32 id, bytes32 keyHash, uint128 maxUnpaid, uint64 notAfter) internal pure returns (bytes32) {
        return keccak256(abi.encode(SESSION, id, keyHash, maxUnpaid, notAfter));
    }

    function openAuthorization(bytes32 id, uint128 amount, bytes32 nonce, uint64 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(OPEN_AUTHORIZATION, id, amount, nonce, deadline));
    }

    function closeAuthorization(bytes32 id, uint128 finalAmount, uint64 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(CLOSE_AUTHORIZATION, id, finalAmount, deadline));
    }

    /// A struct of static members encodes as its members in a row, which is what EIP-712 hashes.
    function receipt(Receipt calldata r) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT, r));
    }

    function signerGrant(SignerGrant calldata g) internal pure returns (bytes32) {
        return keccak256(abi.encode(SIGNER_GRANT, g));
    }

    function consent(Consent calldata c) internal pure returns (bytes32) {
        return keccak256(abi.encode(CONSENT, c));
    }
}
