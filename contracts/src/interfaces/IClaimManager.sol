// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Claim, ClaimStatus} from "../types/Claim.sol";
import {Mode} from "../types/Model.sol";

/// @title Merkle roots of receipts with stake behind them
/// @notice A root fixes a set of receipts and locks stake for a window; it confers no payment, reputation or reward, and receipts are evidence with or without it.
/// leaf_i = keccak256(abi.encodePacked(uint8(0), uint64 i, bytes32 receiptDigest)); node = keccak256(l, r); padded with zero words to a power of two.
interface IClaimManager {
    event RootPosted(
        bytes32 indexed claimId,
        bytes32 indexed versionId,
        bytes32 root,
        uint32 count,
        uint128 maxPrice,
        uint256 locked,
        uint64 finalizableAt
    );
    event ClaimFinalized(bytes32 indexed claimId);

    error ZeroAddress();
    error BadBounds(string field);
    error ZeroRoot();
    error ZeroCount();
    error NoArbiter(bytes32 versionId, Mode mode);
    error NotActive(bytes32 modelId);
    error NotOwnerOrOperator(bytes32 modelId, address caller);
    error AlreadyPosted(bytes32 claimId);
    error NotOpen(bytes32 claimId, ClaimStatus status);
    error WindowOpen(bytes32 claimId, uint64 finalizableAt, uint256 timestamp);

    /// @notice Posts a root and locks ceil(count * maxPrice / 1e6 * lockRate) of the model's free stake. Sender: owner or operator of the active model.
    /// @param maxPriceMicro highest Receipt.price under the root, in micro
    function postRoot(bytes32 versionId, bytes32 root, uint32 count, uint128 maxPriceMicro) external returns (bytes32 claimId);

    /// @notice Ends a claim after its window and unlocks what a slash has left of its stake. Anyone.
    function finalize(bytes32 claimId) external;

    function claim(bytes32 claimId) external view returns (Claim memory);

    /// @notice Whether `receiptDigest` is leaf `index` of the claim.
    /// @param proof siblings from the leaf up, as many as the tree is high
    function includes(bytes32 claimId, uint32 index, bytes32 receiptDigest, bytes32[] calldata proof) external view returns (bool);

    /// @notice Stake that a root of `count` receipts of at most `maxPriceMicro` locks.
    function lockFor(uint32 count, uint128 maxPriceMicro) external view returns (uint256);

    /// @notice claimId = keccak256(abi.encode(versionId, root))
    function claimIdOf(bytes32 versionId, bytes32 root) external pure returns (bytes32);

    /// @notice Seconds from posting to finality.
    function window() external view returns (uint64);

    function registry() external view returns (address);

    function vault() external view returns (address);

    /// @notice Units of stake per base unit of the payment token.
    function lockRate() external view returns (uint96);
}
