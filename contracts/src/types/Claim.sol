// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

enum ClaimStatus {
    None,
    Open,
    Final
}

/// @notice A Merkle root of receipts with stake locked behind it.
/// @param count number of receipts under the root
/// @param maxPrice micro; a receipt above it is not covered by the claim
/// @param lock stake locked while the claim is open
/// @param postedAt unix seconds
/// @param finalizableAt unix seconds; the window is snapshotted when the root is posted
struct Claim {
    bytes32 versionId;
    bytes32 root;
    uint32 count;
    uint128 maxPrice;
    uint128 lock;
    uint64 postedAt;
    uint64 finalizableAt;
    ClaimStatus status;
}
