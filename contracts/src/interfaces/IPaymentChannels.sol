// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Channel, ChannelDescriptor, ChannelStatus, RedeemRow} from "../types/Channel.sol";

/// @title One-way payment channels
/// @notice channelId = keccak256(abi.encode(payer, payee, token, uint8 signerKind, signer, uint32 withdrawDelay, salt)) and is single-use: a closed channel leaves a
/// tombstone. Money comes in only from the sender or by an OpenAuthorization. Refunds are pulled; nothing that a payer does can block a redeem before the refund is out.
/// Signatures are 64-byte EIP-2098 with low s.
interface IPaymentChannels {
    event ChannelOpened(
        bytes32 indexed channelId, address indexed payer, address indexed payee, ChannelDescriptor descriptor, uint128 amount
    );
    /// @param deposit the channel's deposit after the top-up
    event ToppedUp(bytes32 indexed channelId, uint128 amount, uint128 deposit);
    /// @param paid base units taken from the channels, fee included
    /// @param rows packed: channelId (32 bytes) then settled (16 bytes), for each channel that moved
    event Redeemed(address indexed payee, address indexed token, uint256 paid, bytes rows);
    event ExitStarted(bytes32 indexed channelId, uint40 closeAt);
    event ChannelClosed(bytes32 indexed channelId, uint128 settled, uint128 refund);
    event RefundWithdrawn(bytes32 indexed channelId, uint128 amount);
    event RedeemerSet(address indexed payee, address redeemer);
    event FeeSet(uint16 feeBps);
    event FeesCollected(address indexed token, uint256 amount);

    error ZeroAddress(string field);
    error BadBounds(string field);
    error ZeroAmount();
    error UnsupportedSignerKind(uint8 signerKind);
    error WithdrawDelayOutOfBounds(uint32 withdrawDelay, uint32 min, uint32 max);
    error NotPayer(address caller, address payer);
    error NotPayeeOrRedeemer(address caller, address payee);
    error ChannelExists(bytes32 channelId, ChannelStatus status);
    error NotOpen(bytes32 channelId, ChannelStatus status);
    error NotClosing(bytes32 channelId, ChannelStatus status);
    error AlreadyClosed(bytes32 channelId, ChannelStatus status);
    error UnknownChannel(bytes32 channelId);
    error StillClosing(bytes32 channelId, uint40 closeAt, uint256 timestamp);
    error AboveCeiling(bytes32 channelId, uint128 amount, uint128 maxClaimable);
    error AboveDeposit(bytes32 channelId, uint128 amount, uint128 deposit);
    error BelowSettled(bytes32 channelId, uint128 amount, uint128 settled);
    error WrongSigner(bytes32 channelId, address recovered, address expected);
    error MixedBatch(uint256 row, address payee, address token);
    error EmptyBatch();
    error LengthMismatch(uint256 descriptors, uint256 amounts);
    error DepositTooLarge(uint256 deposit, uint256 max);
    error Expired(uint64 deadline, uint256 timestamp);
    error NonceUsed(address payer, bytes32 nonce);
    error NotAdmin(address caller);
    error FeeAboveMax(uint16 feeBps, uint16 maxFeeBps);
    error NothingToCollect(address token);

    /// @notice Opens a channel with the sender's money. Sender: the payer.
    function open(ChannelDescriptor calldata descriptor, uint128 amount) external returns (bytes32 channelId);

    /// @notice As `open`, after trying an ERC-2612 permit for exactly `amount`; a permit that was already used does no harm.
    function openWithPermit(ChannelDescriptor calldata descriptor, uint128 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (bytes32 channelId);

    /// @notice Opens several channels of one payer and token with one transfer.
    function openMany(ChannelDescriptor[] calldata descriptors, uint128[] calldata amounts) external returns (bytes32[] memory channelIds);

    /// @notice Opens a channel with the payer's money (allowance to this contract) on the strength of an OpenAuthorization. Anyone may send it.
    function openWithAuthorization(
        ChannelDescriptor calldata descriptor,
        uint128 amount,
        bytes32 nonce,
        uint64 deadline,
        bytes calldata signature
    ) external returns (bytes32 channelId);

    /// @notice Adds to an open channel. Sender: the payer. Reverts once closing.
    function topUp(ChannelDescriptor calldata descriptor, uint128 amount) external;

    /// @notice Settles channels of one payee and token with one transfer to the payee. Sender: the payee or its redeemer.
    /// Rows with nothing left to take (already settled as far, or closed) are skipped.
    /// @return paid base units taken from the channels, fee included
    function redeem(RedeemRow[] calldata rows) external returns (uint256 paid);

    /// @notice Lets `redeemer` send redeems and sign closes for the sender; money still goes to the sender only. Zero removes it.
    function setRedeemer(address redeemer) external;

    /// @notice Closes at once by agreement: pays the payee up to `finalAmount` and the payer the rest. Sender: the payer.
    /// @param signature by the payee or its redeemer over CloseAuthorization(channelId, finalAmount, deadline)
    function closeWithAuthorization(ChannelDescriptor calldata descriptor, uint128 finalAmount, uint64 deadline, bytes calldata signature)
        external;

    /// @notice Starts the payer's exit; the payee has until the refund is withdrawn to redeem. Sender: the payer.
    function startExit(ChannelDescriptor calldata descriptor) external returns (uint40 closeAt);

    /// @notice Closes after the delay and pays the rest to the payer. Anyone.
    function withdraw(ChannelDescriptor calldata descriptor) external returns (uint128 refund);

    /// @notice Sets the protocol fee, at most `maxFeeBps`. Only the admin.
    function setFee(uint16 bps) external;

    /// @notice Sends the collected fees of a token to the fee sink. Anyone.
    function collectFees(address token) external;

    function channel(bytes32 channelId) external view returns (Channel memory);

    function redeemerOf(address payee) external view returns (address);

    function nonceUsed(address payer, bytes32 nonce) external view returns (bool);

    function minWithdrawDelay() external view returns (uint32);

    function maxWithdrawDelay() external view returns (uint32);

    function admin() external view returns (address);

    function feeSink() external view returns (address);

    function feeBps() external view returns (uint16);

    function maxFeeBps() external view returns (uint16);

    /// @notice Fees of a token that wait for `collectFees`.
    function fees(address token) external view returns (uint256);

    function channelIdOf(ChannelDescriptor calldata descriptor) external pure returns (bytes32);

    function voucherDigest(bytes32 channelId, uint128 maxClaimableAmount) external view returns (bytes32);

    function sessionDigest(bytes32 channelId, bytes32 keyHash, uint128 maxUnpaid, uint64 notAfter) external view returns (bytes32);

    function openAuthorizationDigest(bytes32 channelId, uint128 amount, bytes32 nonce, uint64 deadline) external view returns (bytes32);

    function closeAuthorizationDigest(bytes32 channelId, uint128 finalAmount, uint64 deadline) external view returns (bytes32);
}
