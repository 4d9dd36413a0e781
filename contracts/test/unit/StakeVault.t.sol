// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {StakeVault} from "../../src/StakeVault.sol";
import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {Mode} from "../../src/types/Model.sol";
import {StakeAccount} from "../../src/types/Stake.sol";
import {Market} from "../support/Market.sol";
import {HostileToken} from "../support/Tokens.sol";

contract StakeVaultTest is Market {
    bytes32 private modelId;

    function setUp() public {
        deployMarket();
        (modelId,) = registerModel("honest/digits", Mode.None, 0);
    }

    function test_constructor_refusals() public {
        for (uint256 i = 0; i < 5; ++i) {
            StakeVault.Settings memory s = vaultSettings(address(1), address(2), address(3));
            if (i == 0) s.stakeToken = address(0);
            if (i == 1) s.paymentToken = address(0);
            if (i == 2) s.registry = address(0);
            if (i == 3) s.claimManager = address(0);
            if (i == 4) s.slasher = address(0);
            vm.expectRevert(IStakeVault.ZeroAddress.selector);
            new StakeVault(s);
        }
        StakeVault.Settings memory t = vaultSettings(address(1), address(2), address(3));
        t.paymentToken = t.stakeToken;
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.BadBounds.selector, "paymentToken"));
        new StakeVault(t);
        t = vaultSettings(address(1), address(2), address(3));
        t.unbondingPeriod = 0;
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.BadBounds.selector, "unbondingPeriod"));
        new StakeVault(t);
    }

    function test_deposit() public {
        stakeToken.approve(address(vault), MIN_STAKE);
        expectEvent(address(vault));
        emit IStakeVault.Deposited(modelId, address(this), MIN_STAKE, 0);
        vault.deposit(modelId, MIN_STAKE, 0);
        yes(!vault.isStaked(modelId), "a bond is missing");
        stakeModel(modelId, 0, MIN_BOND);
        yes(vault.isStaked(modelId), "staked");
        _check(MIN_STAKE, 0, 0, MIN_BOND);
        eq(stakeToken.balanceOf(address(vault)), MIN_STAKE, "stake held");
        eq(dollar.balanceOf(address(vault)), MIN_BOND, "bond held");
    }

    function test_deposit_refusals() public {
        vm.expectRevert(IStakeVault.ZeroAmount.selector);
        vault.deposit(modelId, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NotActive.selector, bytes32("x")));
        vault.deposit("x", 1, 0);
        uint256 tooMuch = uint256(type(uint128).max) + 1;
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.AmountTooLarge.selector, tooMuch, type(uint128).max));
        vault.deposit(modelId, tooMuch, 0);
        _retire();
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NotActive.selector, modelId));
        vault.deposit(modelId, 1, 0);
    }

    function test_lockAndUnlock() public {
        stakeModel(modelId, MIN_STAKE, MIN_BOND);
        vm.startPrank(address(claims));
        expectEvent(address(vault));
        emit IStakeVault.Locked(modelId, 40);
        vault.lock(modelId, 40);
        _check(MIN_STAKE - 40, 40, 0, MIN_BOND);
        yes(vault.isStaked(modelId), "locked stake counts");
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.InsufficientFree.selector, modelId, MIN_STAKE, MIN_STAKE - 40));
        vault.lock(modelId, MIN_STAKE);
        expectEvent(address(vault));
        emit IStakeVault.Unlocked(modelId, 30);
        vault.unlock(modelId, 30);
        _check(MIN_STAKE - 10, 10, 0, MIN_BOND);
        // More than is left: gives what there is.
        vault.unlock(modelId, 30);
        _check(MIN_STAKE, 0, 0, MIN_BOND);
    }

    function test_onlyTheirCallers() public {
        bytes memory reason = abi.encodeWithSelector(IStakeVault.NotClaimManager.selector, ADMIN);
        vm.startPrank(ADMIN);
        vm.expectRevert(reason);
        vault.lock(modelId, 1);
        vm.expectRevert(reason);
        vault.unlock(modelId, 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NotRegistry.selector, ADMIN));
        vault.startUnbond(modelId);
        reason = abi.encodeWithSelector(IStakeVault.NotSlasher.selector, ADMIN);
        vm.expectRevert(reason);
        vault.slash(modelId, 1, ADMIN, ADMIN);
        vm.expectRevert(reason);
        vault.refundBond(modelId, 0, ADMIN, 1);
    }

    function test_exit_paysThePayoutOnly() public {
        stakeModel(modelId, 100, 10);
        vm.prank(address(claims));
        vault.lock(modelId, 40);
        uint64 endsAt = uint64(block.timestamp) + UNBONDING;
        expectEvent(address(vault));
        emit IStakeVault.UnbondingStarted(modelId, 60, endsAt);
        _retire();
        _check(0, 40, 60, 10);
        yes(!vault.isStaked(modelId), "no longer staked");
        vm.warp(endsAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StillUnbonding.selector, modelId, endsAt, endsAt - 1));
        vault.withdraw(modelId);
        vm.warp(endsAt);
        expectEvent(address(vault));
        emit IStakeVault.Withdrawn(modelId, PAYOUT, 60, 10);
        vm.prank(STRANGER);
        vault.withdraw(modelId);
        eq(stakeToken.balanceOf(PAYOUT), 60, "stake");
        eq(dollar.balanceOf(PAYOUT), 10, "bond");
        // A claim that ends later releases the rest, which is unbonded already.
        vm.prank(address(claims));
        vault.unlock(modelId, 40);
        vault.withdraw(modelId);
        eq(stakeToken.balanceOf(PAYOUT), 100, "all stake");
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NothingToWithdraw.selector, modelId));
        vault.withdraw(modelId);
    }

    function test_exit_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NotUnbonding.selector, modelId));
        vault.withdraw(modelId);
        _retire();
        uint64 unbondEnd = vault.account(modelId).unbondEnd;
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.AlreadyUnbonding.selector, modelId, unbondEnd));
        vm.prank(address(registry));
        vault.startUnbond(modelId);
    }

    function test_slash_splitsAndBurns() public {
        stakeModel(modelId, 1000, 0);
        uint256 supply = stakeToken.totalSupply();
        expectEvent(address(vault));
        emit IStakeVault.Slashed(modelId, 500, 50, 100, 350);
        vm.prank(address(disputes));
        eq(vault.slash(modelId, 500, STRANGER, victim), 500, "taken");
        eq(stakeToken.balanceOf(STRANGER), 50, "challenger");
        eq(stakeToken.balanceOf(victim), 100, "beneficiary");
        eq(supply - stakeToken.totalSupply(), 350, "burned");
        _check(500, 0, 0, 0);
    }

    function test_slash_sharesAreCapped() public {
        stakeModel(modelId, 10_000e18, 0);
        expectEvent(address(vault));
        emit IStakeVault.Slashed(modelId, 10_000e18, CHALLENGER_CAP, BENEFICIARY_CAP, 10_000e18 - CHALLENGER_CAP - BENEFICIARY_CAP);
        vm.prank(address(disputes));
        vault.slash(modelId, type(uint256).max, STRANGER, victim);
    }

    function test_slash_takesFreeThenUnbondingThenLocked() public {
        stakeModel(modelId, 100, 0);
        vm.prank(address(claims));
        vault.lock(modelId, 30);
        vm.prank(address(disputes));
        vault.slash(modelId, 10, STRANGER, victim);
        _check(60, 30, 0, 0);
        _retire();
        vm.prank(address(disputes));
        vault.slash(modelId, 80, STRANGER, victim);
        _check(0, 10, 0, 0);
    }

    function test_slash_atZeroDoesNotRevert() public {
        vm.startPrank(address(disputes));
        eq(vault.slash(modelId, 1000, STRANGER, victim), 0, "taken");
        eq(vault.refundBond(modelId, "d", victim, 1000), 0, "paid");
    }

    function test_slash_withoutBeneficiaryBurnsItsShare() public {
        stakeModel(modelId, 1000, 10);
        expectEvent(address(vault));
        emit IStakeVault.Slashed(modelId, 1000, 100, 0, 900);
        vm.startPrank(address(disputes));
        vault.slash(modelId, 1000, STRANGER, address(0));
        eq(vault.refundBond(modelId, "d", address(0), 5), 0, "paid");
        _check(0, 0, 0, 10);
    }

    function test_refundBond() public {
        stakeModel(modelId, 0, 80);
        expectEvent(address(vault));
        emit IStakeVault.BondRefunded(modelId, "d", victim, 7);
        vm.startPrank(address(disputes));
        eq(vault.refundBond(modelId, "d", victim, 7), 7, "paid");
        _check(0, 0, 0, 73);
        eq(vault.refundBond(modelId, "e", victim, 11), 10, "an eighth of what is left, rounded up");
        eq(dollar.balanceOf(victim), 17, "victim");
        _check(0, 0, 0, 63);
    }

    /// However high the price in a receipt that a provider wrote to itself: most of the bond stays for the others.
    function test_refundBond_oneReceiptTakesAnEighthAtMost() public {
        stakeModel(modelId, 0, 8_000_000);
        vm.startPrank(address(disputes));
        eq(vault.refundBond(modelId, "d", victim, type(uint256).max), 1_000_000, "an eighth");
        _check(0, 0, 0, 7_000_000);
    }

    /// Rounding leaves nothing behind that no refund can reach.
    function test_refundBond_reachesTheLastUnit() public {
        stakeModel(modelId, 0, 3);
        vm.startPrank(address(disputes));
        for (uint256 i = 0; i < 3; ++i) {
            eq(vault.refundBond(modelId, "d", victim, 5), 1, "one unit");
        }
        eq(vault.refundBond(modelId, "d", victim, 5), 0, "nothing is left");
    }

    /// A payment token that refuses the victim must not stop a verdict, nor keep the money.
    function test_refundBond_creditsWhatCannotBeDelivered() public {
        HostileToken hostile = new HostileToken();
        StakeVault.Settings memory s = vaultSettings(address(registry), address(claims), address(this));
        s.paymentToken = address(hostile);
        StakeVault v = new StakeVault(s);
        hostile.mint(address(this), 56);
        hostile.approve(address(v), 56);
        v.deposit(modelId, 0, 56);
        hostile.setBlocked(victim, true);
        expectEvent(address(v));
        emit IStakeVault.Credited(address(hostile), victim, 7);
        eq(v.refundBond(modelId, "d", victim, 7), 7, "paid");
        eq(v.credit(address(hostile), victim), 7, "credit");
        vm.expectRevert(abi.encodeWithSelector(HostileToken.Blocked.selector, victim));
        v.collect(address(hostile), victim);
        hostile.setBlocked(victim, false);
        expectEvent(address(v));
        emit IStakeVault.Collected(address(hostile), victim, 7);
        v.collect(address(hostile), victim);
        eq(hostile.balanceOf(victim), 7, "victim");
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.NothingToCollect.selector, hostile, victim));
        v.collect(address(hostile), victim);
    }

    function testFuzz_slash_neverPaysMoreThanItTakes(uint128 stake, uint256 amount, uint128 locked) public {
        stake = uint128(bound(stake, 1, 1_000_000e18));
        stakeModel(modelId, stake, 0);
        locked = uint128(bound(locked, 0, stake));
        vm.prank(address(claims));
        vault.lock(modelId, locked);
        uint256 supply = stakeToken.totalSupply();
        vm.prank(address(disputes));
        uint256 taken = vault.slash(modelId, amount, STRANGER, victim);
        eq(taken, amount < stake ? amount : stake, "taken");
        uint256 shares = stakeToken.balanceOf(STRANGER) + stakeToken.balanceOf(victim);
        eq(shares + (supply - stakeToken.totalSupply()), taken, "shares and burn");
        yes(shares * 10 <= taken * 3, "at least 70 % is burned");
        eq(stakeToken.balanceOf(address(vault)), stake - taken, "what is left");
    }

    function _retire() private {
        vm.prank(owner);
        registry.retire(modelId);
    }

    function _check(uint256 free, uint256 locked, uint256 unbonding, uint256 bond) private view {
        StakeAccount memory a = vault.account(modelId);
        eq(a.free, free, "free");
        eq(a.locked, locked, "locked");
        eq(a.unbonding, unbonding, "unbonding");
        eq(a.bond, bond, "bond");
    }
}
