// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ChannelFees} from "./channels/ChannelFees.sol";
import {ChannelMessages} from "./channels/ChannelMessages.sol";
import {PackedRows} from "./libraries/PackedRows.sol";
import {SignedMessages} from "./libraries/SignedMessages.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {TokenTransfers} from "./libraries/TokenTransfers.sol";
import {Channel, ChannelDescriptor, ChannelStatus, RedeemRow} from "./types/Channel.sol";

/// @title One-way payment channels (see IPaymentChannels)
contract PaymentChannels is ChannelMessages, ChannelFees {
    using SafeERC20 for IERC20;

    /// One storage slot per channel. What the contract holds for it is always deposit - settled.
    struct Slot {
        uint96 settled;
        uint96 deposit;
        uint40 closeAt;
        ChannelStatus status;
    }

    uint32 public immutable minWithdrawDelay;
    uint32 public immutable maxWithdrawDelay;
    mapping(address payee => address) public redeemerOf;
    mapping(address payer => mapping(bytes32 nonce => bool)) public nonceUsed;
    mapping(bytes32 channelId => Slot) private slots;

    constructor(uint32 minDelay, uint32 maxDelay, address feeAdmin, address sink, uint16 feeCapBps) ChannelFees(feeAdmin, sink, feeCapBps) {
        if (minDelay == 0 || minDelay > maxDelay) revert BadBounds("withdrawDelay");
        minWithdrawDelay = minDelay;
        maxWithdrawDelay = maxDelay;
    }

    function open(ChannelDescriptor calldata descriptor, uint128 amount) external nonReentrant returns (bytes32 channelId) {
        _requirePayer(descriptor);
        channelId = _create(descriptor, amount);
        TokenTransfers.pull(descriptor.token, msg.sender, amount);
    }

    function openWithPermit(ChannelDescriptor calldata descriptor, uint128 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (bytes32 channelId)
    {
        _requirePayer(descriptor);
        channelId = _create(descriptor, amount);
        // Whoever copied the permit from the mempool has only set the allowance that the pull needs.
        try IERC20Permit(descriptor.token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        TokenTransfers.pull(descriptor.token, msg.sender, amount);
    }

    function openMany(ChannelDescriptor[] calldata descriptors, uint128[] calldata amounts)
        external
        nonReentrant
        returns (bytes32[] memory channelIds)
    {
        if (descriptors.length == 0) revert EmptyBatch();
        if (descriptors.length != amounts.length) revert LengthMismatch(descriptors.length, amounts.length);
        address token = descriptors[0].token;
        channelIds = new bytes32[](descriptors.length);
        uint256 total = 0;
        for (uint256 i = 0; i < descriptors.length; ++i) {
            ChannelDescriptor calldata descriptor = descriptors[i];
            _requirePayer(descriptor);
            if (descriptor.token != token) revert MixedBatch(i, descriptor.payee, descriptor.token);
            channelIds[i] = _create(descriptor, amounts[i]);
            total += amounts[i];
        }
        TokenTransfers.pull(token, msg.sender, total);
    }

    function openWithAuthorization(
        ChannelDescriptor calldata descriptor,
        uint128 amount,
        bytes32 nonce,
        uint64 deadline,
        bytes calldata signature
    ) external nonReentrant returns (bytes32 channelId) {
        _requireInTime(deadline);
        if (nonceUsed[descriptor.payer][nonce]) revert NonceUsed(descriptor.payer, nonce);
        nonceUsed[descriptor.payer][nonce] = true;
        channelId = _create(descriptor, amount);
        bytes32 digest = openAuthorizationDigest(channelId, amount, nonce, deadline);
        _requireSigner(channelId, Signatures.recover(digest, signature), descriptor.payer);
        TokenTransfers.pull(descriptor.token, descriptor.payer, amount);
    }

    function topUp(ChannelDescriptor calldata descriptor, uint128 amount) external nonReentrant {
        _requirePayer(descriptor);
        if (amount == 0) revert ZeroAmount();
        bytes32 channelId = SignedMessages.channelId(descriptor);
        Slot storage slot = _openSlot(channelId);
        uint96 deposit = _toUint96(uint256(slot.deposit) + amount);
        slot.deposit = deposit;
        emit ToppedUp(channelId, amount, deposit);
        TokenTransfers.pull(descriptor.token, msg.sender, amount);
    }

    function redeem(RedeemRow[] calldata rows) external nonReentrant returns (uint256 paid) {
        if (rows.length == 0) revert EmptyBatch();
        address payee = rows[0].descriptor.payee;
        address token = rows[0].descriptor.token;
        if (msg.sender != payee && msg.sender != redeemerOf[payee]) revert NotPayeeOrRedeemer(msg.sender, payee);
        bytes memory moved = PackedRows.make(rows.length);
        uint256 count = 0;
        for (uint256 i = 0; i < rows.length; ++i) {
            RedeemRow calldata row = rows[i];
            if (row.descriptor.payee != payee || row.descriptor.token != token) {
                revert MixedBatch(i, row.descriptor.payee, row.descriptor.token);
            }
            (bytes32 channelId, uint256 taken) = _settleRow(row);
            if (taken == 0) continue;
            paid += taken;
            PackedRows.write(moved, count++, channelId, row.amount);
        }
        if (paid == 0) return 0;
        PackedRows.truncate(moved, count);
        uint256 net = _takeFee(token, paid);
        emit Redeemed(payee, token, paid, moved);
        IERC20(token).safeTransfer(payee, net);
    }

    function setRedeemer(address redeemer) external {
        redeemerOf[msg.sender] = redeemer;
        emit RedeemerSet(msg.sender, redeemer);
    }

    function closeWithAuthorization(ChannelDescriptor calldata descriptor, uint128 finalAmount, uint64 deadline, bytes calldata signature)
        external
        nonReentrant
    {
        _requirePayer(descriptor);
        _requireInTime(deadline);
        bytes32 channelId = SignedMessages.channelId(descriptor);
        Slot storage slot = slots[channelId];
        (uint128 settled, uint128 deposit) = (slot.settled, slot.deposit);
        _requireLive(channelId, slot.status);
        if (finalAmount < settled) revert BelowSettled(channelId, finalAmount, settled);
        if (finalAmount > deposit) revert AboveDeposit(channelId, finalAmount, deposit);
        address signer = Signatures.recover(closeAuthorizationDigest(channelId, finalAmount, deadline), signature);
        if (signer != descriptor.payee) _requireSigner(channelId, signer, redeemerOf[descriptor.payee]);
        uint256 due = finalAmount - settled;
        uint256 net = _takeFee(descriptor.token, due);
        if (due != 0) emit Redeemed(descriptor.payee, descriptor.token, due, abi.encodePacked(channelId, finalAmount));
        _close(channelId, slot, uint96(finalAmount), descriptor);
        if (due != 0) IERC20(descriptor.token).safeTransfer(descriptor.payee, net);
    }

    function startExit(ChannelDescriptor calldata descriptor) external returns (uint40 closeAt) {
        _requirePayer(descriptor);
        bytes32 channelId = SignedMessages.channelId(descriptor);
        Slot storage slot = _openSlot(channelId);
        closeAt = uint40(block.timestamp + descriptor.withdrawDelay);
        slot.closeAt = closeAt;
        slot.status = ChannelStatus.Closing;
        emit ExitStarted(channelId, closeAt);
    }

    function withdraw(ChannelDescriptor calldata descriptor) external nonReentrant returns (uint128 refund) {
        bytes32 channelId = SignedMessages.channelId(descriptor);
        Slot storage slot = slots[channelId];
        if (slot.status != ChannelStatus.Closing) revert NotClosing(channelId, slot.status);
        if (block.timestamp < slot.closeAt) revert StillClosing(channelId, slot.closeAt, block.timestamp);
        return _close(channelId, slot, slot.settled, descriptor);
    }

    function channel(bytes32 channelId) external view returns (Channel memory) {
        Slot memory slot = slots[channelId];
        return Channel({deposit: slot.deposit, settled: slot.settled, closeAt: slot.closeAt, status: slot.status});
    }

    /// Checks a descriptor, takes its id for ever and books the deposit; the caller pulls the money.
    function _create(ChannelDescriptor calldata descriptor, uint128 amount) private returns (bytes32 channelId) {
        if (amount == 0) revert ZeroAmount();
        if (descriptor.payee == address(0)) revert ZeroAddress("payee");
        if (descriptor.signer == address(0)) revert ZeroAddress("signer");
        if (descriptor.signerKind != 0) revert UnsupportedSignerKind(descriptor.signerKind);
        uint32 delay = descriptor.withdrawDelay;
        if (delay < minWithdrawDelay || delay > maxWithdrawDelay) {
            revert WithdrawDelayOutOfBounds(delay, minWithdrawDelay, maxWithdrawDelay);
        }
        channelId = SignedMessages.channelId(descriptor);
        Slot storage slot = slots[channelId];
        if (slot.status != ChannelStatus.None) revert ChannelExists(channelId, slot.status);
        slots[channelId] = Slot({settled: 0, deposit: _toUint96(amount), closeAt: 0, status: ChannelStatus.Open});
        emit ChannelOpened(channelId, descriptor.payer, descriptor.payee, descriptor, amount);
    }

    /// Books one row of a redeem. A row with nothing left to take is skipped before its signature is looked at.
    function _settleRow(RedeemRow calldata row) private returns (bytes32 channelId, uint256 taken) {
        channelId = SignedMessages.channelId(row.descriptor);
        Slot storage slot = slots[channelId];
        (uint96 settled, uint96 deposit, ChannelStatus status) = (slot.settled, slot.deposit, slot.status);
        if (status == ChannelStatus.None) revert UnknownChannel(channelId);
        if (status == ChannelStatus.Closed || row.amount <= settled) return (channelId, 0);
        if (row.amount > row.maxClaimable) revert AboveCeiling(channelId, row.amount, row.maxClaimable);
        if (row.amount > deposit) revert AboveDeposit(channelId, row.amount, deposit);
        address signer = Signatures.recover(voucherDigest(channelId, row.maxClaimable), row.signature);
        _requireSigner(channelId, signer, row.descriptor.signer);
        slot.settled = uint96(row.amount);
        return (channelId, row.amount - settled);
    }

    /// Leaves a tombstone that holds nothing and pays the payer, who has asked for it now or by an exit.
    function _close(bytes32 channelId, Slot storage slot, uint96 settled, ChannelDescriptor calldata descriptor)
        private
        returns (uint128 refund)
    {
        refund = slot.deposit - settled;
        slot.settled = settled;
        slot.deposit = settled;
        slot.status = ChannelStatus.Closed;
        emit ChannelClosed(channelId, settled, refund);
        if (refund == 0) return 0;
        emit RefundWithdrawn(channelId, refund);
        IERC20(descriptor.token).safeTransfer(descriptor.payer, refund);
    }

    function _openSlot(bytes32 channelId) private view returns (Slot storage slot) {
        slot = slots[channelId];
        if (slot.status != ChannelStatus.Open) revert NotOpen(channelId, slot.status);
    }

    function _requireLive(bytes32 channelId, ChannelStatus status) private pure {
        if (status == ChannelStatus.None) revert UnknownChannel(channelId);
        if (status == ChannelStatus.Closed) revert AlreadyClosed(channelId, status);
    }

    function _requirePayer(ChannelDescriptor calldata descriptor) private view {
        if (msg.sender != descriptor.payer) revert NotPayer(msg.sender, descriptor.payer);
    }

    function _requireInTime(uint64 deadline) private view {
        if (block.timestamp > deadline) revert Expired(deadline, block.timestamp);
    }

    function _requireSigner(bytes32 channelId, address recovered, address expected) private pure {
        if (recovered != expected) revert WrongSigner(channelId, recovered, expected);
    }

    function _toUint96(uint256 amount) private pure returns (uint96) {
        if (amount > type(uint96).max) revert DepositTooLarge(amount, type(uint96).max);
        return uint96(amount);
    }
}
