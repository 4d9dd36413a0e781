// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ClaimManager} from "../../src/ClaimManager.sol";
import {ExecutionArbiter} from "../../src/arbiters/ExecutionArbiter.sol";
import {IClaimManager} from "../../src/interfaces/IClaimManager.sol";
import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {Claim, ClaimStatus} from "../../src/types/Claim.sol";
import {Mode} from "../../src/types/Model.sol";
import {Market} from "../support/Market.sol";

contract ClaimManagerTest is Market {
    bytes32 private modelId;
    bytes32 private versionId;
    uint256 private constant STAKE = 1_000e18;

    function setUp() public {
        deployMarket();
        address arbiter = address(new ExecutionArbiter());
        vm.prank(ADMIN);
        registry.installArbiter(Mode.IntegerExecution, arbiter);
        (modelId, versionId) = registerModel("honest/digits", Mode.IntegerExecution, keccak256("root"));
        stakeModel(modelId, STAKE, MIN_BOND);
    }

    function test_constructor_refusals() public {
        vm.expectRevert(IClaimManager.ZeroAddress.selector);
        new ClaimManager(address(0), address(1), 1, 1);
        vm.expectRevert(IClaimManager.ZeroAddress.selector);
        new ClaimManager(address(1), address(0), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.BadBounds.selector, "window"));
        new ClaimManager(address(1), address(1), 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.BadBounds.selector, "lockRate"));
        new ClaimManager(address(1), address(1), 1, 0);
    }

    function test_postRoot_locksStake() public {
        bytes32 claimId = keccak256(abi.encode(versionId, bytes32("root")));
        uint64 finalizableAt = uint64(block.timestamp) + WINDOW;
        uint256 locked = 3 * 1_500 * uint256(LOCK_RATE);
        expectEvent(address(claims));
        emit IClaimManager.RootPosted(claimId, versionId, "root", 3, 1_500e6, locked, finalizableAt);
        eq(_post("root", 3, 1_500e6), claimId, "claimId");
        eq(vault.account(modelId).locked, locked, "locked");
        Claim memory c = claims.claim(claimId);
        eq(c.versionId, versionId, "versionId");
        eq(c.root, "root", "root");
        eq(c.count, 3, "count");
        eq(c.maxPrice, 1_500e6, "maxPrice");
        eq(c.lock, locked, "lock");
        eq(c.postedAt, block.timestamp, "postedAt");
        eq(c.finalizableAt, finalizableAt, "finalizableAt");
        yes(c.status == ClaimStatus.Open, "open");
    }

    function test_lockFor_roundsUp() public {
        ClaimManager coarse = new ClaimManager(address(1), address(1), 1, 1);
        eq(coarse.lockFor(1, 1), 1, "one micro locks one unit");
        eq(coarse.lockFor(3, 500_000), 2, "1.5 locks 2");
        eq(coarse.lockFor(2, 500_000), 1, "exact");
        eq(coarse.lockFor(5, 0), 0, "free answers lock nothing");
        ClaimManager steep = new ClaimManager(address(1), address(1), 1, type(uint96).max);
        yes(steep.lockFor(type(uint32).max, type(uint128).max) > 0, "the largest product does not overflow");
    }

    function test_postRoot_refusals() public {
        vm.startPrank(OPERATOR);
        vm.expectRevert(IClaimManager.ZeroRoot.selector);
        claims.postRoot(versionId, 0, 1, 1);
        vm.expectRevert(IClaimManager.ZeroCount.selector);
        claims.postRoot(versionId, "root", 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.NoArbiter.selector, bytes32("x"), Mode.None));
        claims.postRoot("x", "root", 1, 1);
        claims.postRoot(versionId, "root", 1, 1);
        bytes32 claimId = claims.claimIdOf(versionId, "root");
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.AlreadyPosted.selector, claimId));
        claims.postRoot(versionId, "root", 1, 1);
        uint256 free = vault.account(modelId).free;
        uint256 wanted = claims.lockFor(1, 1e15);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientFree.selector, modelId, wanted, free));
        claims.postRoot(versionId, "big", 1, 1e15);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.NotOwnerOrOperator.selector, modelId, STRANGER));
        vm.prank(STRANGER);
        claims.postRoot(versionId, "other", 1, 1);
    }

    function test_postRoot_needsAnActiveModelWithAnArbiter() public {
        (, bytes32 replay) = registerModel("honest/chat", Mode.Replay, 0);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.NoArbiter.selector, replay, Mode.Replay));
        claims.postRoot(replay, "root", 1, 1);
        registry.retire(modelId);
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.NotActive.selector, modelId));
        claims.postRoot(versionId, "root", 1, 1);
    }

    function test_finalize() public {
        bytes32 claimId = _post("root", 3, 1_500e6);
        uint64 end = claims.claim(claimId).finalizableAt;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.WindowOpen.selector, claimId, end, end - 1));
        claims.finalize(claimId);
        vm.warp(end);
        expectEvent(address(claims));
        emit IClaimManager.ClaimFinalized(claimId);
        vm.prank(STRANGER);
        claims.finalize(claimId);
        eq(vault.account(modelId).locked, 0, "locked");
        eq(vault.account(modelId).free, STAKE, "free");
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.NotOpen.selector, claimId, ClaimStatus.Final));
        claims.finalize(claimId);
        vm.expectRevert(abi.encodeWithSelector(IClaimManager.NotOpen.selector, bytes32("x"), ClaimStatus.None));
        claims.finalize("x");
    }

    function test_finalize_afterASlashGivesBackWhatIsLeft() public {
        bytes32 claimId = _post("root", 3, 1_500e6);
        vm.prank(address(disputes));
        vault.slash(modelId, STAKE - 1, STRANGER, victim);
        vm.warp(block.timestamp + WINDOW);
        claims.finalize(claimId);
        eq(vault.account(modelId).free, 1, "free");
    }

    function test_finalize_ofARetiredModelGoesToItsExit() public {
        bytes32 claimId = _post("root", 3, 1_500e6);
        vm.prank(owner);
        registry.retire(modelId);
        vm.warp(block.timestamp + UNBONDING);
        claims.finalize(claimId);
        vault.withdraw(modelId);
        eq(stakeToken.balanceOf(PAYOUT), STAKE, "payout");
    }

    function testFuzz_includes(uint8 size, uint8 pick, bytes32 seed) public {
        uint32 count = uint32(bound(size, 1, 33));
        uint32 index = uint32(bound(pick, 0, count - 1));
        bytes32[][] memory levels = _tree(seed, count);
        bytes32[] memory proof = new bytes32[](levels.length - 1);
        uint256 position = index;
        for (uint256 i = 0; i < proof.length; ++i) {
            proof[i] = levels[i][position ^ 1];
            position >>= 1;
        }
        bytes32 claimId = _post(levels[levels.length - 1][0], count, 1);
        bytes32 digest = keccak256(abi.encode(seed, index));
        yes(claims.includes(claimId, index, digest, proof), "included");
        yes(!claims.includes(claimId, index, keccak256(abi.encode(digest)), proof), "another digest");
        yes(!claims.includes(claimId, index + 1, digest, proof), "another index");
        yes(!claims.includes(claimId, count, digest, proof), "beyond the count");
        yes(!claims.includes(claimId, index, digest, new bytes32[](proof.length + 1)), "a longer proof");
        yes(!claims.includes("x", index, digest, proof), "another claim");
    }

    /// A root over more receipts than its declared count covers none of them: the height is part of the proof.
    function test_includes_heldToTheDeclaredCount() public {
        bytes32[][] memory levels = _tree("seed", 4);
        bytes32[] memory proof = new bytes32[](2);
        (proof[0], proof[1]) = (levels[0][0], levels[1][1]);
        bytes32 digest = keccak256(abi.encode(bytes32("seed"), uint256(1)));
        bytes32 honest = _post(levels[2][0], 4, 1);
        yes(claims.includes(honest, 1, digest, proof), "four are declared");
        (, bytes32 other) = registerModel("honest/other", Mode.IntegerExecution, keccak256("root"));
        stakeModel(registry.version(other).modelId, STAKE, MIN_BOND);
        vm.prank(OPERATOR);
        bytes32 short = claims.postRoot(other, levels[2][0], 2, 1);
        yes(!claims.includes(short, 1, digest, proof), "two are declared");
    }

    function _post(bytes32 root, uint32 count, uint128 maxPrice) private returns (bytes32) {
        vm.prank(OPERATOR);
        return claims.postRoot(versionId, root, count, maxPrice);
    }

    /// Every level of the tree, leaves first, written apart from the library.
    function _tree(bytes32 seed, uint32 count) private pure returns (bytes32[][] memory levels) {
        uint256 height = MerkleTree.height(count);
        levels = new bytes32[][](height + 1);
        levels[0] = new bytes32[](1 << height);
        for (uint64 i = 0; i < count; ++i) {
            levels[0][i] = keccak256(abi.encodePacked(uint8(0), i, keccak256(abi.encode(seed, i))));
        }
        for (uint256 h = 1; h <= height; ++h) {
            levels[h] = new bytes32[](levels[h - 1].length / 2);
            for (uint256 i = 0; i < levels[h].length; ++i) {
                levels[h][i] = keccak256(bytes.concat(levels[h - 1][2 * i], levels[h - 1][2 * i + 1]));
            }
        }
    }
}
