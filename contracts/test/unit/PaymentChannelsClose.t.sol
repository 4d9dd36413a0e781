// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {ChannelDescriptor, ChannelStatus} from "../../src/types/Channel.sol";
import {ChannelMarket} from "../support/ChannelMarket.sol";

contract PaymentChannelsCloseTest is ChannelMarket {
    uint256 private constant PAYEE_KEY = 0x9A7EE;
    ChannelDescriptor private d;
    bytes32 private id;

    function setUp() public override {
        super.setUp();
        d = descriptorOf("a");
        d.payee = vm.addr(PAYEE_KEY);
        vm.prank(payer);
        id = channels.open(d, DEPOSIT);
    }

    function test_startExit() public {
        uint40 closeAt = uint40(block.timestamp + 1 days);
        expectEvent(address(channels));
        emit IPaymentChannels.ExitStarted(id, closeAt);
        vm.prank(payer);
        eq(channels.startExit(d), closeAt, "closeAt");
        checkChannel(id, DEPOSIT, 0, ChannelStatus.Closing);
        eq(channels.channel(id).closeAt, closeAt, "closeAt");
    }

    function test_startExit_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayer.selector, d.payee, payer));
        vm.prank(d.payee);
        channels.startExit(d);
        vm.startPrank(payer);
        channels.startExit(d);
        // A second exit must not move closeAt.
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotOpen.selector, id, ChannelStatus.Closing));
        channels.startExit(d);
    }

    function test_withdraw() public {
        redeem(d, 300);
        vm.prank(payer);
        channels.startExit(d);
        vm.warp(block.timestamp + 1 days);
        expectEvent(address(channels));
        emit IPaymentChannels.ChannelClosed(id, 300, DEPOSIT - 300);
        expectEvent(address(channels));
        emit IPaymentChannels.RefundWithdrawn(id, DEPOSIT - 300);
        vm.prank(STRANGER);
        eq(channels.withdraw(d), DEPOSIT - 300, "refund");
        eq(dollar.balanceOf(payer), 100 * DEPOSIT - 300, "payer");
        checkChannel(id, 300, 300, ChannelStatus.Closed);
    }

    function test_withdraw_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotClosing.selector, id, ChannelStatus.Open));
        channels.withdraw(d);
        vm.prank(payer);
        uint40 closeAt = channels.startExit(d);
        vm.warp(closeAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.StillClosing.selector, id, closeAt, closeAt - 1));
        channels.withdraw(d);
        vm.warp(closeAt);
        channels.withdraw(d);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotClosing.selector, id, ChannelStatus.Closed));
        channels.withdraw(d);
    }

    function test_withdraw_ofAFullySettledChannelPaysNothing() public {
        redeem(d, DEPOSIT);
        vm.prank(payer);
        channels.startExit(d);
        vm.warp(block.timestamp + 1 days);
        eq(channels.withdraw(d), 0, "refund");
        checkChannel(id, DEPOSIT, DEPOSIT, ChannelStatus.Closed);
    }

    function test_closedChannelIsNeverOpenedAgain() public {
        _close(400, PAYEE_KEY);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.ChannelExists.selector, id, ChannelStatus.Closed));
        vm.prank(payer);
        channels.open(d, DEPOSIT);
        eq(redeem(d, 500), 0, "a voucher of a closed channel");
    }

    function test_closeWithAuthorization_paysBothAtOnce() public {
        redeem(d, 300);
        expectEvent(address(channels));
        emit IPaymentChannels.Redeemed(d.payee, address(dollar), 100, abi.encodePacked(id, uint128(400)));
        expectEvent(address(channels));
        emit IPaymentChannels.ChannelClosed(id, 400, DEPOSIT - 400);
        expectEvent(address(channels));
        emit IPaymentChannels.RefundWithdrawn(id, DEPOSIT - 400);
        _close(400, PAYEE_KEY);
        eq(dollar.balanceOf(d.payee), 400, "payee");
        eq(dollar.balanceOf(payer), 100 * DEPOSIT - 400, "payer");
        eq(dollar.balanceOf(address(channels)), 0, "held");
        checkChannel(id, 400, 400, ChannelStatus.Closed);
    }

    function test_closeWithAuthorization_byTheRedeemerAndWhileClosing() public {
        vm.prank(d.payee);
        channels.setRedeemer(edge);
        vm.prank(payer);
        channels.startExit(d);
        _close(0, EDGE_KEY);
        eq(dollar.balanceOf(payer), 100 * DEPOSIT, "payer");
        checkChannel(id, 0, 0, ChannelStatus.Closed);
    }

    function test_closeWithAuthorization_takesTheFee() public {
        vm.prank(ADMIN);
        channels.setFee(500);
        _close(1_000, PAYEE_KEY);
        eq(dollar.balanceOf(d.payee), 950, "payee");
        eq(channels.fees(address(dollar)), 50, "fees");
        eq(dollar.balanceOf(address(channels)), 50, "held");
    }

    function test_closeWithAuthorization_refusals() public {
        uint64 deadline = uint64(block.timestamp);
        redeem(d, 300);
        bytes memory below = _sign(299, deadline, PAYEE_KEY);
        bytes memory above = _sign(DEPOSIT + 1, deadline, PAYEE_KEY);
        bytes memory forged = _sign(400, deadline, PAYER_KEY);
        bytes memory right = _sign(400, deadline, PAYEE_KEY);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayer.selector, d.payee, payer));
        vm.prank(d.payee);
        channels.closeWithAuthorization(d, 400, deadline, right);
        vm.startPrank(payer);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.BelowSettled.selector, id, 299, 300));
        channels.closeWithAuthorization(d, 299, deadline, below);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.AboveDeposit.selector, id, DEPOSIT + 1, DEPOSIT));
        channels.closeWithAuthorization(d, DEPOSIT + 1, deadline, above);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.WrongSigner.selector, id, payer, address(0)));
        channels.closeWithAuthorization(d, 400, deadline, forged);
        ChannelDescriptor memory unknown = descriptorOf("b");
        bytes32 unknownId = channels.channelIdOf(unknown);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.UnknownChannel.selector, unknownId));
        channels.closeWithAuthorization(unknown, 400, deadline, right);
        channels.closeWithAuthorization(d, 400, deadline, right);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.AlreadyClosed.selector, id, ChannelStatus.Closed));
        channels.closeWithAuthorization(d, 400, deadline, right);
        vm.warp(block.timestamp + 1);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.Expired.selector, deadline, block.timestamp));
        channels.closeWithAuthorization(d, 400, deadline, right);
    }

    function _close(uint128 amount, uint256 key) private {
        bytes memory signature = _sign(amount, uint64(block.timestamp), key);
        vm.prank(payer);
        channels.closeWithAuthorization(d, amount, uint64(block.timestamp), signature);
    }

    function _sign(uint128 amount, uint64 deadline, uint256 key) private view returns (bytes memory) {
        return compact(key, channels.closeAuthorizationDigest(id, amount, deadline));
    }
}
