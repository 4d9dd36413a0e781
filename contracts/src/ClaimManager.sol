// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IClaimManager} from "./interfaces/IClaimManager.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {MerkleTree} from "./libraries/MerkleTree.sol";
import {Claim, ClaimStatus} from "./types/Claim.sol";
import {Version} from "./types/Model.sol";

/// @title Merkle roots of receipts with stake behind them (see IClaimManager)
contract ClaimManager is IClaimManager {
    uint256 private constant MICRO = 1e6;

    address public immutable registry;
    address public immutable vault;
    uint64 public immutable window;
    uint96 public immutable lockRate;

    mapping(bytes32 claimId => Claim) private claims;

    constructor(address modelRegistry, address stakeVault, uint64 claimWindow, uint96 stakePerBaseUnit) {
        if (modelRegistry == address(0) || stakeVault == address(0)) revert ZeroAddress();
        if (claimWindow == 0) revert BadBounds("window");
        if (stakePerBaseUnit == 0) revert BadBounds("lockRate");
        registry = modelRegistry;
        vault = stakeVault;
        window = claimWindow;
        lockRate = stakePerBaseUnit;
    }

    function postRoot(bytes32 versionId, bytes32 root, uint32 count, uint128 maxPriceMicro) external returns (bytes32 claimId) {
        if (root == 0) revert ZeroRoot();
        if (count == 0) revert ZeroCount();
        Version memory v = IModelRegistry(registry).version(versionId);
        if (v.arbiter == address(0)) revert NoArbiter(versionId, v.mode);
        if (!IModelRegistry(registry).mayOperate(v.modelId, msg.sender)) revert NotOwnerOrOperator(v.modelId, msg.sender);
        if (!IModelRegistry(registry).isActive(v.modelId)) revert NotActive(v.modelId);
        claimId = claimIdOf(versionId, root);
        if (claims[claimId].status != ClaimStatus.None) revert AlreadyPosted(claimId);
        uint256 locked = lockFor(count, maxPriceMicro);
        uint64 finalizableAt = uint64(block.timestamp) + window;
        claims[claimId] = Claim({
            versionId: versionId,
            root: root,
            count: count,
            maxPrice: maxPriceMicro,
            // A lock beyond uint128 is beyond any account's free stake: the vault refuses it below with its numbers.
            lock: uint128(Math.min(locked, type(uint128).max)),
            postedAt: uint64(block.timestamp),
            finalizableAt: finalizableAt,
            status: ClaimStatus.Open
        });
        emit RootPosted(claimId, versionId, root, count, maxPriceMicro, locked, finalizableAt);
        IStakeVault(vault).lock(v.modelId, locked);
    }

    function finalize(bytes32 claimId) external {
        Claim storage c = claims[claimId];
        if (c.status != ClaimStatus.Open) revert NotOpen(claimId, c.status);
        if (block.timestamp < c.finalizableAt) revert WindowOpen(claimId, c.finalizableAt, block.timestamp);
        c.status = ClaimStatus.Final;
        emit ClaimFinalized(claimId);
        IStakeVault(vault).unlock(IModelRegistry(registry).version(c.versionId).modelId, c.lock);
    }

    function claim(bytes32 claimId) external view returns (Claim memory) {
        return claims[claimId];
    }

    function includes(bytes32 claimId, uint32 index, bytes32 receiptDigest, bytes32[] calldata proof) external view returns (bool) {
        Claim storage c = claims[claimId];
        return MerkleTree.verify(c.root, c.count, index, MerkleTree.receiptLeaf(index, receiptDigest), proof);
    }

    function lockFor(uint32 count, uint128 maxPriceMicro) public view returns (uint256) {
        return Math.ceilDiv(uint256(count) * maxPriceMicro * lockRate, MICRO);
    }

    function claimIdOf(bytes32 versionId, bytes32 root) public pure returns (bytes32) {
        return keccak256(abi.encode(versionId, root));
    }
}
