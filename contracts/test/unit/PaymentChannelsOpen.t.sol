// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {TokenTransfers} from "../../src/libraries/TokenTransfers.sol";
import {ChannelDescriptor, ChannelStatus} from "../../src/types/Channel.sol";
import {ChannelMarket} from "../support/ChannelMarket.sol";
import {FeeToken} from "../support/Tokens.sol";

contract PaymentChannelsOpenTest is ChannelMarket {
    function test_constructor_refusesBadBounds() public {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.BadBounds.selector, "withdrawDelay"));
        new PaymentChannels(0, 1, ADMIN, FEE_SINK, 0);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.BadBounds.selector, "withdrawDelay"));
        new PaymentChannels(2, 1, ADMIN, FEE_SINK, 0);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.BadBounds.selector, "maxFeeBps"));
        new PaymentChannels(1, 1, ADMIN, FEE_SINK, 1_001);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.ZeroAddress.selector, "admin"));
        new PaymentChannels(1, 1, address(0), FEE_SINK, 0);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.ZeroAddress.selector, "feeSink"));
        new PaymentChannels(1, 1, ADMIN, address(0), 0);
    }

    function test_open() public {
        ChannelDescriptor memory d = descriptorOf("a");
        bytes32 id = channels.channelIdOf(d);
        expectEvent(address(channels));
        emit IPaymentChannels.ChannelOpened(id, payer, PAYOUT, d, DEPOSIT);
        vm.prank(payer);
        eq(channels.open(d, DEPOSIT), id, "id");
        checkChannel(id, DEPOSIT, 0, ChannelStatus.Open);
        eq(channels.channel(id).closeAt, 0, "closeAt");
        eq(dollar.balanceOf(address(channels)), DEPOSIT, "held");
    }

    function test_open_idCoversEveryMember() public view {
        bytes32 id = channels.channelIdOf(descriptorOf("a"));
        for (uint256 i = 0; i < 7; ++i) {
            ChannelDescriptor memory d = descriptorOf("a");
            if (i == 0) d.payer = STRANGER;
            if (i == 1) d.payee = STRANGER;
            if (i == 2) d.token = STRANGER;
            if (i == 3) d.signerKind = 1;
            if (i == 4) d.signer = STRANGER;
            if (i == 5) d.withdrawDelay += 1;
            if (i == 6) d.salt = "b";
            yes(channels.channelIdOf(d) != id, "a member is not covered by the id");
        }
    }

    function test_open_onlyPayer() public {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayer.selector, STRANGER, payer));
        vm.prank(STRANGER);
        channels.open(descriptorOf("a"), DEPOSIT);
    }

    function test_open_refusesBadDescriptors() public {
        ChannelDescriptor memory d = descriptorOf("a");
        _expectRefusal(d, 0, abi.encodeWithSelector(IPaymentChannels.ZeroAmount.selector));
        d.payee = address(0);
        _expectRefusal(d, 1, abi.encodeWithSelector(IPaymentChannels.ZeroAddress.selector, "payee"));
        d = descriptorOf("a");
        d.signer = address(0);
        _expectRefusal(d, 1, abi.encodeWithSelector(IPaymentChannels.ZeroAddress.selector, "signer"));
        d = descriptorOf("a");
        d.signerKind = 1;
        _expectRefusal(d, 1, abi.encodeWithSelector(IPaymentChannels.UnsupportedSignerKind.selector, 1));
        d = descriptorOf("a");
        d.withdrawDelay = 1 hours - 1;
        _expectRefusal(d, 1, abi.encodeWithSelector(IPaymentChannels.WithdrawDelayOutOfBounds.selector, 1 hours - 1, 1 hours, 30 days));
        d.withdrawDelay = 30 days + 1;
        _expectRefusal(d, 1, abi.encodeWithSelector(IPaymentChannels.WithdrawDelayOutOfBounds.selector, 30 days + 1, 1 hours, 30 days));
        uint128 tooMuch = uint128(type(uint96).max) + 1;
        d = descriptorOf("a");
        _expectRefusal(d, tooMuch, abi.encodeWithSelector(IPaymentChannels.DepositTooLarge.selector, tooMuch, type(uint96).max));
    }

    function test_open_onlyOnce() public {
        (ChannelDescriptor memory d, bytes32 id) = openChannel("a");
        _expectRefusal(d, 1, abi.encodeWithSelector(IPaymentChannels.ChannelExists.selector, id, ChannelStatus.Open));
    }

    function test_open_refusesTokenThatKeepsAFee() public {
        FeeToken fee = new FeeToken();
        fee.mint(payer, 100);
        vm.prank(payer);
        fee.approve(address(channels), 100);
        ChannelDescriptor memory d = descriptorOf("a");
        d.token = address(fee);
        _expectRefusal(d, 100, abi.encodeWithSelector(TokenTransfers.TransferMismatch.selector, fee, 100, 99));
    }

    function test_openWithPermit() public {
        vm.prank(payer);
        dollar.approve(address(channels), 0);
        ChannelDescriptor memory d = descriptorOf("a");
        (uint8 v, bytes32 r, bytes32 s) = _permit(DEPOSIT, block.timestamp + 1);
        vm.prank(payer);
        bytes32 id = channels.openWithPermit(d, DEPOSIT, block.timestamp + 1, v, r, s);
        checkChannel(id, DEPOSIT, 0, ChannelStatus.Open);
        eq(dollar.allowance(payer, address(channels)), 0, "the permit is used up");
    }

    function test_openWithPermit_survivesAFrontRun() public {
        vm.prank(payer);
        dollar.approve(address(channels), 0);
        (uint8 v, bytes32 r, bytes32 s) = _permit(DEPOSIT, block.timestamp + 1);
        dollar.permit(payer, address(channels), DEPOSIT, block.timestamp + 1, v, r, s);
        vm.prank(payer);
        bytes32 id = channels.openWithPermit(descriptorOf("a"), DEPOSIT, block.timestamp + 1, v, r, s);
        checkChannel(id, DEPOSIT, 0, ChannelStatus.Open);
    }

    function test_openWithPermit_onlyPayer() public {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayer.selector, STRANGER, payer));
        vm.prank(STRANGER);
        channels.openWithPermit(descriptorOf("a"), DEPOSIT, 0, 27, 0, 0);
    }

    function test_openMany() public {
        (ChannelDescriptor[] memory list, uint128[] memory amounts) = _two();
        vm.prank(payer);
        bytes32[] memory ids = channels.openMany(list, amounts);
        checkChannel(ids[0], 5, 0, ChannelStatus.Open);
        checkChannel(ids[1], 7, 0, ChannelStatus.Open);
        eq(dollar.balanceOf(address(channels)), 12, "held");
    }

    function test_openMany_refusesBadBatches() public {
        vm.startPrank(payer);
        vm.expectRevert(IPaymentChannels.EmptyBatch.selector);
        channels.openMany(new ChannelDescriptor[](0), new uint128[](0));
        (ChannelDescriptor[] memory list, uint128[] memory amounts) = _two();
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.LengthMismatch.selector, 2, 1));
        channels.openMany(list, new uint128[](1));
        list[1].token = address(stakeToken);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.MixedBatch.selector, 1, PAYOUT, stakeToken));
        channels.openMany(list, amounts);
        list[1] = descriptorOf("b");
        list[1].payer = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayer.selector, payer, STRANGER));
        channels.openMany(list, amounts);
    }

    function test_openWithAuthorization() public {
        ChannelDescriptor memory d = descriptorOf("a");
        bytes memory signature = _authorization(d, DEPOSIT, "n", uint64(block.timestamp), PAYER_KEY);
        vm.prank(STRANGER);
        bytes32 id = channels.openWithAuthorization(d, DEPOSIT, "n", uint64(block.timestamp), signature);
        checkChannel(id, DEPOSIT, 0, ChannelStatus.Open);
        yes(channels.nonceUsed(payer, "n"), "nonce is used");
        eq(dollar.balanceOf(payer), 99 * DEPOSIT, "the payer's money");
    }

    function test_openWithAuthorization_refusals() public {
        ChannelDescriptor memory d = descriptorOf("a");
        bytes32 id = channels.channelIdOf(d);
        uint64 deadline = uint64(block.timestamp);
        bytes memory forged = _authorization(d, DEPOSIT, "n", deadline, EDGE_KEY);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.WrongSigner.selector, id, edge, payer));
        channels.openWithAuthorization(d, DEPOSIT, "n", deadline, forged);

        bytes memory signature = _authorization(d, DEPOSIT, "n", deadline, PAYER_KEY);
        vm.expectRevert();
        channels.openWithAuthorization(d, DEPOSIT + 1, "n", deadline, signature);

        vm.warp(block.timestamp + 1);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.Expired.selector, deadline, block.timestamp));
        channels.openWithAuthorization(d, DEPOSIT, "n", deadline, signature);
    }

    function test_openWithAuthorization_nonceOnlyOnce() public {
        uint64 deadline = uint64(block.timestamp);
        ChannelDescriptor memory d = descriptorOf("a");
        channels.openWithAuthorization(d, DEPOSIT, "n", deadline, _authorization(d, DEPOSIT, "n", deadline, PAYER_KEY));
        d = descriptorOf("b");
        bytes memory signature = _authorization(d, DEPOSIT, "n", deadline, PAYER_KEY);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NonceUsed.selector, payer, bytes32("n")));
        channels.openWithAuthorization(d, DEPOSIT, "n", deadline, signature);
    }

    function test_topUp() public {
        (ChannelDescriptor memory d, bytes32 id) = openChannel("a");
        expectEvent(address(channels));
        emit IPaymentChannels.ToppedUp(id, 5, DEPOSIT + 5);
        vm.prank(payer);
        channels.topUp(d, 5);
        checkChannel(id, DEPOSIT + 5, 0, ChannelStatus.Open);
        eq(dollar.balanceOf(address(channels)), DEPOSIT + 5, "held");
    }

    function test_topUp_refusals() public {
        (ChannelDescriptor memory d, bytes32 id) = openChannel("a");
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayer.selector, STRANGER, payer));
        vm.prank(STRANGER);
        channels.topUp(d, 5);
        vm.startPrank(payer);
        vm.expectRevert(IPaymentChannels.ZeroAmount.selector);
        channels.topUp(d, 0);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.DepositTooLarge.selector, type(uint128).max, type(uint96).max));
        channels.topUp(d, type(uint128).max - DEPOSIT);
        channels.startExit(d);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotOpen.selector, id, ChannelStatus.Closing));
        channels.topUp(d, 5);
        ChannelDescriptor memory unknown = descriptorOf("b");
        bytes32 unknownId = channels.channelIdOf(unknown);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotOpen.selector, unknownId, ChannelStatus.None));
        channels.topUp(unknown, 5);
    }

    function _expectRefusal(ChannelDescriptor memory d, uint128 amount, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(payer);
        channels.open(d, amount);
    }

    function _two() private view returns (ChannelDescriptor[] memory list, uint128[] memory amounts) {
        list = new ChannelDescriptor[](2);
        (list[0], list[1]) = (descriptorOf("a"), descriptorOf("b"));
        amounts = new uint128[](2);
        (amounts[0], amounts[1]) = (5, 7);
    }

    function _authorization(ChannelDescriptor memory d, uint128 amount, bytes32 nonce, uint64 deadline, uint256 key)
        private
        view
        returns (bytes memory)
    {
        return compact(key, channels.openAuthorizationDigest(channels.channelIdOf(d), amount, nonce, deadline));
    }

    function _permit(uint256 amount, uint256 deadline) private view returns (uint8, bytes32, bytes32) {
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                payer,
                address(channels),
                amount,
                dollar.nonces(payer),
                deadline
            )
        );
        return vm.sign(PAYER_KEY, keccak256(abi.encodePacked("\x19\x01", dollar.DOMAIN_SEPARATOR(), permit)));
    }
}
