// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice One answer: bill, audit record and evidence (EIP-712, domain ModelRegistry).
/// @param requestId 32 random bytes chosen by the payer
/// @param price what this answer cost, in micro (1e-6 base units of the payment token)
/// @param cumulative what the channel has been charged so far, this answer included, in micro
/// @param issuedAt unix seconds
/// @param outcome 0 complete, 1 the client left, 2 the engine failed in mid-stream
struct Receipt {
    bytes32 versionId;
    bytes32 requestId;
    bytes32 channelId;
    bytes32 inputHash;
    bytes32 outputHash;
    bytes32 paramsHash;
    uint64 inputUnits;
    uint64 outputUnits;
    uint128 price;
    uint128 cumulative;
    address beneficiary;
    uint64 issuedAt;
    uint8 outcome;
}

/// @notice The provider's cold key lets `signer` sign receipts of one version until `notAfter` (EIP-712, domain ModelRegistry).
struct SignerGrant {
    bytes32 versionId;
    address signer;
    uint64 notAfter;
}

/// @notice The beneficiary or payer of a receipt lets `challenger` dispute it until `notAfter` (EIP-712, domain DisputeManager).
/// @param receipt EIP-712 digest of the receipt
struct Consent {
    bytes32 receipt;
    address challenger;
    uint64 notAfter;
}
