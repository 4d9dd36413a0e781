// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Channel, ChannelDescriptor, ChannelStatus} from "../../src/types/Channel.sol";
import {ChannelMarket} from "../support/ChannelMarket.sol";

/// @title Payer, payee and a clock, who do what the contract lets them do in any order
contract ChannelPlayers is ChannelMarket {
    uint256 private constant PAYEE_KEY = 0x9A7EE;
    uint256 public constant MINTED = 100 * uint256(DEPOSIT);

    ChannelDescriptor[] public opened;
    mapping(bytes32 id => Channel) public last;
    mapping(string action => uint256) public done;

    constructor() {
        setUp();
        vm.prank(ADMIN);
        channels.setFee(300);
    }

    function open(uint128 amount) external {
        uint256 balance = dollar.balanceOf(payer);
        if (balance == 0) return;
        ChannelDescriptor memory d = descriptorOf(bytes32(opened.length));
        d.payee = vm.addr(PAYEE_KEY);
        vm.prank(payer);
        channels.open(d, uint128(bound(amount, 1, balance)));
        opened.push(d);
        done["open"]++;
    }

    function topUp(uint256 pick, uint128 amount) external {
        uint256 balance = dollar.balanceOf(payer);
        (ChannelDescriptor memory d, bytes32 id, bool any) = _pick(pick);
        if (!any || balance == 0 || channels.channel(id).status != ChannelStatus.Open) return;
        vm.prank(payer);
        channels.topUp(d, uint128(bound(amount, 1, balance)));
        done["topUp"]++;
    }

    function redeemSome(uint256 pick, uint128 amount) external {
        (ChannelDescriptor memory d, bytes32 id, bool any) = _pick(pick);
        if (!any) return;
        Channel memory before = channels.channel(id);
        amount = uint128(bound(amount, 0, before.deposit));
        uint256 paid = redeem(d, amount);
        if (before.status == ChannelStatus.Closed) eq(paid, 0, "a closed channel pays nothing");
        if (paid != 0) done["redeem"]++;
    }

    function startExit(uint256 pick) external {
        (ChannelDescriptor memory d, bytes32 id, bool any) = _pick(pick);
        if (!any || channels.channel(id).status != ChannelStatus.Open) return;
        vm.prank(payer);
        channels.startExit(d);
        done["startExit"]++;
    }

    function withdraw(uint256 pick) external {
        (ChannelDescriptor memory d, bytes32 id, bool any) = _pick(pick);
        Channel memory c = channels.channel(id);
        if (!any || c.status != ChannelStatus.Closing || block.timestamp < c.closeAt) return;
        channels.withdraw(d);
        done["withdraw"]++;
    }

    function close(uint256 pick, uint128 amount) external {
        (ChannelDescriptor memory d, bytes32 id, bool any) = _pick(pick);
        Channel memory c = channels.channel(id);
        if (!any || c.status == ChannelStatus.Closed) return;
        amount = uint128(bound(amount, c.settled, c.deposit));
        bytes memory signature = compact(PAYEE_KEY, channels.closeAuthorizationDigest(id, amount, type(uint64).max));
        vm.prank(payer);
        channels.closeWithAuthorization(d, amount, type(uint64).max, signature);
        done["close"]++;
    }

    function collect() external {
        if (channels.fees(address(dollar)) != 0) channels.collectFees(address(dollar));
    }

    function pass(uint32 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 1 days));
    }

    /// Everything that must hold after any sequence.
    function check() external {
        uint256 held = channels.fees(address(dollar));
        for (uint256 i = 0; i < opened.length; ++i) {
            bytes32 id = channels.channelIdOf(opened[i]);
            Channel memory c = channels.channel(id);
            yes(c.settled <= c.deposit, "settled within deposit");
            yes(c.settled >= last[id].settled, "settled never falls");
            yes(c.status >= last[id].status, "a channel never goes back");
            if (c.status == ChannelStatus.Closed) eq(c.deposit, c.settled, "a tombstone holds nothing");
            held += c.deposit - c.settled;
            last[id] = c;
        }
        eq(dollar.balanceOf(address(channels)), held, "the contract holds exactly what it owes");
        uint256 outside = dollar.balanceOf(payer) + dollar.balanceOf(vm.addr(PAYEE_KEY)) + dollar.balanceOf(FEE_SINK);
        eq(outside + held, MINTED, "no money is made or lost");
    }

    function _pick(uint256 pick) private view returns (ChannelDescriptor memory d, bytes32 id, bool any) {
        if (opened.length == 0) return (d, id, false);
        d = opened[pick % opened.length];
        return (d, channels.channelIdOf(d), true);
    }
}

contract ChannelsInvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    ChannelPlayers private players;

    function setUp() public {
        players = new ChannelPlayers();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(players);
    }

    /// Without this, forge would also call the players' own setUp.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory s = new bytes4[](8);
        s[0] = players.open.selector;
        s[1] = players.topUp.selector;
        s[2] = players.redeemSome.selector;
        s[3] = players.startExit.selector;
        s[4] = players.withdraw.selector;
        s[5] = players.close.selector;
        s[6] = players.collect.selector;
        s[7] = players.pass.selector;
        targets[0] = FuzzSelector(address(players), s);
    }

    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_moneyIsConserved() public {
        players.check();
    }

    /// The players can do each of these things, so that the invariant is not empty.
    function test_playersCanDoEverything() public {
        players.open(1_000);
        players.topUp(0, 50);
        players.redeemSome(0, 500);
        players.startExit(0);
        players.pass(1 days);
        players.withdraw(0);
        players.open(1_000);
        players.close(1, 300);
        players.collect();
        players.check();
        string[6] memory actions = ["open", "topUp", "redeem", "startExit", "withdraw", "close"];
        for (uint256 i = 0; i < 6; ++i) {
            require(players.done(actions[i]) > 0, actions[i]);
        }
    }
}
