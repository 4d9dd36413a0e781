// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Case} from "../../src/types/Dispute.sol";
import {ClaimStatus} from "../../src/types/Claim.sol";
import {Mode, ModelStatus} from "../../src/types/Model.sol";
import {StakeAccount} from "../../src/types/Stake.sol";
import {Court} from "../support/Court.sol";

/// @title A provider with two models, its victims and a clock, in any order
contract StakePlayers is Court {
    bytes32[] private modelIds;
    bytes32[] private versionIds;
    bytes32[] private claimIds;
    uint256 private lies;
    uint256 private immutable supply;
    uint256 private immutable dollars;

    mapping(string action => uint256) public done;
    mapping(bytes32 model => bool) private faulty;

    constructor() {
        setUp();
        modelIds.push(modelId);
        versionIds.push(versionId);
        (bytes32 m, bytes32 v) = registerModel("cheat/other", Mode.IntegerExecution, registry.version(versionId).verificationRoot);
        modelIds.push(m);
        versionIds.push(v);
        stakeModel(m, STAKE / 2, BOND);
        dollar.mint(address(this), 1_000_000);
        supply = stakeToken.totalSupply();
        dollars = dollar.totalSupply();
    }

    function deposit(uint256 pick, uint96 stake, uint16 bond) external {
        bytes32 id = modelIds[pick % 2];
        stake = uint96(bound(stake, 1, 100e18));
        if (!registry.isActive(id) || bond > dollar.balanceOf(address(this))) return;
        stakeToken.approve(address(vault), stake);
        dollar.approve(address(vault), bond);
        vault.deposit(id, stake, bond);
        done["deposit"]++;
    }

    function post(uint256 pick, uint32 count, uint64 maxPrice) external {
        (bytes32 id, bytes32 v) = (modelIds[pick % 2], versionIds[pick % 2]);
        (count, maxPrice) = (uint32(bound(count, 1, 50)), uint64(bound(maxPrice, 1, 2_000_000_000_000)));
        if (!registry.isActive(id) || claims.lockFor(count, maxPrice) > vault.account(id).free) return;
        vm.prank(OPERATOR);
        claimIds.push(claims.postRoot(v, keccak256(abi.encode(claimIds.length)), count, maxPrice));
        done["post"]++;
    }

    function finalize(uint256 pick) external {
        if (claimIds.length == 0) return;
        bytes32 id = claimIds[pick % claimIds.length];
        if (claims.claim(id).status != ClaimStatus.Open || block.timestamp < claims.claim(id).finalizableAt) return;
        claims.finalize(id);
        done["finalize"]++;
    }

    function retire(uint256 pick) external {
        bytes32 id = modelIds[pick % 2];
        if (registry.model(id).status == ModelStatus.Retired) return;
        vm.prank(owner);
        registry.retire(id);
        done["retire"]++;
    }

    function withdraw(uint256 pick) external {
        bytes32 id = modelIds[pick % 2];
        StakeAccount memory a = vault.account(id);
        if (a.unbondEnd == 0 || block.timestamp < a.unbondEnd || (a.unbonding == 0 && a.bond == 0)) return;
        vault.withdraw(id);
        done["withdraw"]++;
    }

    function dispute(uint256 pick, uint64 price) external {
        bytes32 id = modelIds[pick % 2];
        Case memory c = lie(bytes32(++lies));
        c.receipt.versionId = versionIds[pick % 2];
        c.receipt.price = price;
        c = caseOf(c.receipt);
        uint256 before = _stakeOf(id);
        challengeAs(victim, c);
        // The first fault of a model takes its share of everything, wherever it is.
        if (!faulty[id]) eq(before - _stakeOf(id), (before * FIRST_FAULT_BPS + 9_999) / 10_000, "first fault");
        faulty[id] = true;
        yes(!registry.isActive(id), "no active model with a fault");
        done["dispute"]++;
    }

    function pass(uint32 time) external {
        vm.warp(block.timestamp + bound(time, 1, 3 days));
    }

    /// Everything that must hold after any sequence.
    function check() external view {
        uint256 stake = 0;
        uint256 bond = 0;
        for (uint256 i = 0; i < 2; ++i) {
            stake += _stakeOf(modelIds[i]);
            bond += vault.account(modelIds[i]).bond;
            uint256 claimed = 0;
            for (uint256 k = 0; k < claimIds.length; ++k) {
                bool mine = claims.claim(claimIds[k]).versionId == versionIds[i];
                if (mine && claims.claim(claimIds[k]).status == ClaimStatus.Open) claimed += claims.claim(claimIds[k]).lock;
            }
            yes(vault.account(modelIds[i]).locked <= claimed, "stake is locked only behind open claims");
        }
        eq(stakeToken.balanceOf(address(vault)), stake, "the vault holds exactly the stake");
        eq(dollar.balanceOf(address(vault)), bond, "the vault holds exactly the bonds");
        uint256 outside = stakeToken.balanceOf(address(this)) + stakeToken.balanceOf(PAYOUT) + stakeToken.balanceOf(victim);
        eq(outside + stake, stakeToken.totalSupply(), "stake went nowhere else");
        yes(stakeToken.totalSupply() <= supply, "nothing is minted");
        uint256 burned = supply - stakeToken.totalSupply();
        yes(stakeToken.balanceOf(victim) * 7 <= burned * 3 + 70, "victims and challengers get at most 30 % of what is slashed");
        uint256 money = dollar.balanceOf(address(this)) + dollar.balanceOf(PAYOUT) + dollar.balanceOf(victim);
        eq(money + bond, dollars, "bonds went nowhere else");
    }

    function _stakeOf(bytes32 id) private view returns (uint256) {
        StakeAccount memory a = vault.account(id);
        return uint256(a.free) + a.locked + a.unbonding;
    }
}

contract StakesInvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    StakePlayers private players;

    function setUp() public {
        players = new StakePlayers();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(players);
    }

    /// Without this, forge would also call the players' own setUp.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](7);
        s[0] = players.deposit.selector;
        s[1] = players.post.selector;
        s[2] = players.finalize.selector;
        s[3] = players.retire.selector;
        s[4] = players.withdraw.selector;
        s[5] = players.dispute.selector;
        s[6] = players.pass.selector;
        targets[0] = FuzzSelector(address(players), s);
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_stakeIsConserved() public view {
        players.check();
    }

    /// The players can do each of these things, so that the invariant is not empty.
    function test_playersCanDoEverything() public {
        players.deposit(0, 1e18, 5);
        players.post(0, 3, 1_000_000_000);
        players.post(1, 3, 1_000_000_000);
        players.dispute(0, 1_500_000_000);
        players.dispute(0, 1_500_000_000);
        players.pass(3 days);
        players.finalize(0);
        players.retire(0);
        for (uint256 i = 0; i < 3; ++i) {
            players.pass(3 days);
        }
        players.withdraw(0);
        players.check();
        string[6] memory actions = ["deposit", "post", "finalize", "retire", "withdraw", "dispute"];
        for (uint256 i = 0; i < 6; ++i) {
            require(players.done(actions[i]) > 0, actions[i]);
        }
    }
}
