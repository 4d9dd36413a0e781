// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ChannelDescriptor, ChannelStatus, RedeemRow} from "../../src/types/Channel.sol";
import {Market} from "./Market.sol";

/// @title Channels and what is signed about them
abstract contract ChannelMarket is Market {
    uint128 internal constant DEPOSIT = 1_000_000;

    function setUp() public virtual {
        deployMarket();
        dollar.mint(payer, 100 * DEPOSIT);
        vm.prank(payer);
        dollar.approve(address(channels), type(uint256).max);
    }

    function openChannel(bytes32 salt) internal returns (ChannelDescriptor memory d, bytes32 id) {
        d = descriptorOf(salt);
        vm.prank(payer);
        id = channels.open(d, DEPOSIT);
    }

    function rowOf(ChannelDescriptor memory d, uint128 amount, uint128 ceiling) internal view returns (RedeemRow memory) {
        bytes memory signature = compact(VOUCHER_KEY, channels.voucherDigest(channels.channelIdOf(d), ceiling));
        return RedeemRow({descriptor: d, amount: amount, maxClaimable: ceiling, signature: signature});
    }

    function batch(RedeemRow memory row) internal pure returns (RedeemRow[] memory rows) {
        rows = new RedeemRow[](1);
        rows[0] = row;
    }

    function redeem(ChannelDescriptor memory d, uint128 amount) internal returns (uint256) {
        RedeemRow[] memory rows = batch(rowOf(d, amount, amount));
        vm.prank(d.payee);
        return channels.redeem(rows);
    }

    function checkChannel(bytes32 id, uint128 deposit, uint128 settled, ChannelStatus status) internal view {
        eq(channels.channel(id).deposit, deposit, "deposit");
        eq(channels.channel(id).settled, settled, "settled");
        eq(uint256(channels.channel(id).status), uint256(status), "status");
    }
}
