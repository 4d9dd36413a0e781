// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {Signatures} from "../../src/libraries/Signatures.sol";
import {ChannelDescriptor, ChannelStatus, RedeemRow} from "../../src/types/Channel.sol";
import {ChannelMarket} from "../support/ChannelMarket.sol";
import {HostileToken} from "../support/Tokens.sol";

contract PaymentChannelsRedeemTest is ChannelMarket {
    function test_redeem_paysWhatWasCharged() public {
        (ChannelDescriptor memory d, bytes32 id) = openChannel("a");
        RedeemRow[] memory rows = batch(rowOf(d, 300, 500));
        expectEvent(address(channels));
        emit IPaymentChannels.Redeemed(PAYOUT, address(dollar), 300, abi.encodePacked(id, uint128(300)));
        vm.prank(PAYOUT);
        eq(channels.redeem(rows), 300, "paid");
        eq(dollar.balanceOf(PAYOUT), 300, "payee");
        checkChannel(id, DEPOSIT, 300, ChannelStatus.Open);
        // The same voucher covers a later charge up to its ceiling; only the difference moves.
        rows[0].amount = 500;
        vm.prank(PAYOUT);
        eq(channels.redeem(rows), 200, "paid later");
        eq(dollar.balanceOf(PAYOUT), 500, "payee later");
    }

    function test_redeem_batchIsPackedAndSkipsSettledRows() public {
        RedeemRow[] memory rows = new RedeemRow[](4);
        bytes32[] memory ids = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            (ChannelDescriptor memory d, bytes32 id) = openChannel(bytes32(i + 1));
            ids[i] = id;
            rows[i] = rowOf(d, uint128(100 + i), uint128(200));
        }
        redeem(rows[1].descriptor, 101);
        vm.startPrank(payer);
        channels.startExit(rows[2].descriptor);
        vm.warp(block.timestamp + 1 days);
        channels.withdraw(rows[2].descriptor);
        vm.stopPrank();
        // Row 1 is settled and row 2 closed: both are skipped, so neither can block the others.
        expectEvent(address(channels));
        emit IPaymentChannels.Redeemed(PAYOUT, address(dollar), 203, abi.encodePacked(ids[0], uint128(100), ids[3], uint128(103)));
        vm.prank(PAYOUT);
        eq(channels.redeem(rows), 203, "paid");
        eq(dollar.balanceOf(PAYOUT), 101 + 203, "payee");
    }

    function test_redeem_twoRowsOfOneChannelPayOnce() public {
        (ChannelDescriptor memory d, bytes32 id) = openChannel("a");
        RedeemRow[] memory rows = new RedeemRow[](2);
        rows[0] = rowOf(d, 100, 100);
        rows[1] = rowOf(d, 150, 150);
        vm.prank(PAYOUT);
        eq(channels.redeem(rows), 150, "paid");
        checkChannel(id, DEPOSIT, 150, ChannelStatus.Open);
    }

    function test_redeem_nothingLeftIsNoEventAndNoTransfer() public {
        (ChannelDescriptor memory d,) = openChannel("a");
        redeem(d, 100);
        vm.recordLogs();
        eq(redeem(d, 100), 0, "paid again");
        eq(redeem(d, 99), 0, "an older voucher");
        eq(vm.getRecordedLogs().length, 0, "events");
    }

    function test_redeem_byRedeemerPaysThePayee() public {
        (ChannelDescriptor memory d,) = openChannel("a");
        expectEvent(address(channels));
        emit IPaymentChannels.RedeemerSet(PAYOUT, STRANGER);
        vm.prank(PAYOUT);
        channels.setRedeemer(STRANGER);
        RedeemRow[] memory rows = batch(rowOf(d, 300, 300));
        vm.prank(STRANGER);
        channels.redeem(rows);
        eq(dollar.balanceOf(PAYOUT), 300, "payee");
        eq(dollar.balanceOf(STRANGER), 0, "redeemer");
    }

    function test_redeem_onlyPayeeOrRedeemer() public {
        (ChannelDescriptor memory d,) = openChannel("a");
        RedeemRow[] memory rows = batch(rowOf(d, 300, 300));
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayeeOrRedeemer.selector, STRANGER, PAYOUT));
        vm.prank(STRANGER);
        channels.redeem(rows);
    }

    function test_redeem_refusesMixedAndEmptyBatches() public {
        vm.expectRevert(IPaymentChannels.EmptyBatch.selector);
        channels.redeem(new RedeemRow[](0));
        (ChannelDescriptor memory d,) = openChannel("a");
        RedeemRow[] memory rows = new RedeemRow[](2);
        rows[0] = rowOf(d, 1, 1);
        ChannelDescriptor memory other = descriptorOf("b");
        other.payee = STRANGER;
        rows[1] = rowOf(other, 1, 1);
        vm.startPrank(PAYOUT);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.MixedBatch.selector, 1, STRANGER, dollar));
        channels.redeem(rows);
        other = descriptorOf("b");
        other.token = address(stakeToken);
        rows[1] = rowOf(other, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.MixedBatch.selector, 1, PAYOUT, stakeToken));
        channels.redeem(rows);
    }

    function test_redeem_refusesBadRows() public {
        (ChannelDescriptor memory d, bytes32 id) = openChannel("a");
        _expectRefusal(rowOf(d, 301, 300), abi.encodeWithSelector(IPaymentChannels.AboveCeiling.selector, id, 301, 300));
        _expectRefusal(
            rowOf(d, DEPOSIT + 1, DEPOSIT + 1), abi.encodeWithSelector(IPaymentChannels.AboveDeposit.selector, id, DEPOSIT + 1, DEPOSIT)
        );
        ChannelDescriptor memory unknown = descriptorOf("b");
        _expectRefusal(
            rowOf(unknown, 1, 1), abi.encodeWithSelector(IPaymentChannels.UnknownChannel.selector, channels.channelIdOf(unknown))
        );
        RedeemRow memory row = rowOf(d, 300, 300);
        row.signature = compact(PAYER_KEY, channels.voucherDigest(id, 300));
        _expectRefusal(row, abi.encodeWithSelector(IPaymentChannels.WrongSigner.selector, id, payer, voucherSigner));
        row.signature = new bytes(65);
        _expectRefusal(row, abi.encodeWithSelector(Signatures.SignatureLength.selector, 65));
        row = rowOf(d, 300, 300);
        row.maxClaimable = 400;
        vm.expectRevert();
        vm.prank(PAYOUT);
        channels.redeem(batch(row));
    }

    function test_redeem_signatureOfAnotherChainIsRefused() public {
        (ChannelDescriptor memory d,) = openChannel("a");
        RedeemRow memory row = rowOf(d, 300, 300);
        vm.chainId(77);
        vm.expectRevert();
        vm.prank(PAYOUT);
        channels.redeem(batch(row));
    }

    function test_redeem_whileClosing() public {
        (ChannelDescriptor memory d, bytes32 id) = openChannel("a");
        vm.prank(payer);
        channels.startExit(d);
        // Even after closeAt, as long as the refund has not been withdrawn.
        vm.warp(block.timestamp + 2 days);
        redeem(d, 300);
        checkChannel(id, DEPOSIT, 300, ChannelStatus.Closing);
        vm.prank(STRANGER);
        eq(channels.withdraw(d), DEPOSIT - 300, "refund");
        checkChannel(id, 300, 300, ChannelStatus.Closed);
        eq(dollar.balanceOf(address(channels)), 0, "held");
    }

    function test_redeem_takesTheFee() public {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotAdmin.selector, STRANGER));
        vm.prank(STRANGER);
        channels.setFee(1);
        vm.startPrank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.FeeAboveMax.selector, 501, 500));
        channels.setFee(501);
        expectEvent(address(channels));
        emit IPaymentChannels.FeeSet(250);
        channels.setFee(250);
        vm.stopPrank();
        (ChannelDescriptor memory d,) = openChannel("a");
        redeem(d, 999);
        eq(dollar.balanceOf(PAYOUT), 999 - 24, "payee");
        eq(channels.fees(address(dollar)), 24, "fees");
        expectEvent(address(channels));
        emit IPaymentChannels.FeesCollected(address(dollar), 24);
        vm.prank(STRANGER);
        channels.collectFees(address(dollar));
        eq(dollar.balanceOf(FEE_SINK), 24, "sink");
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NothingToCollect.selector, dollar));
        channels.collectFees(address(dollar));
    }

    function test_redeem_cannotBeReentered() public {
        HostileToken hostile = new HostileToken();
        hostile.mint(payer, 1000);
        ChannelDescriptor memory d = descriptorOf("a");
        d.token = address(hostile);
        vm.startPrank(payer);
        hostile.approve(address(channels), 1000);
        channels.open(d, 1000);
        vm.stopPrank();
        RedeemRow[] memory rows = batch(rowOf(d, 100, 100));
        // The token itself is made redeemer, so that only the guard stands in its way.
        vm.prank(PAYOUT);
        channels.setRedeemer(address(hostile));
        hostile.arm(address(channels), abi.encodeCall(channels.redeem, (batch(rowOf(d, 500, 500)))));
        vm.prank(PAYOUT);
        channels.redeem(rows);
        yes(!hostile.reentered(), "re-entered");
        eq(hostile.reentryError(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector), "by the guard");
        eq(hostile.balanceOf(PAYOUT), 100, "payee");
    }

    function testFuzz_redeem_neverMoreThanSignedOrDeposited(uint128 deposit, uint128 ceiling, uint128 amount) public {
        deposit = uint128(bound(deposit, 1, 100 * DEPOSIT));
        ChannelDescriptor memory d = descriptorOf("a");
        vm.prank(payer);
        channels.open(d, deposit);
        RedeemRow[] memory rows = batch(rowOf(d, amount, ceiling));
        bool right = amount == 0 || (amount <= ceiling && amount <= deposit);
        if (!right) vm.expectRevert();
        vm.prank(PAYOUT);
        channels.redeem(rows);
        eq(dollar.balanceOf(PAYOUT), right ? amount : 0, "payee");
    }

    function _expectRefusal(RedeemRow memory row, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(PAYOUT);
        channels.redeem(batch(row));
    }
}
