// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice Everything that a channel is; its hash is the channelId, so it is never stored.
/// @param signerKind 0 = secp256k1; others are not supported yet
/// @param signer the key that signs vouchers, fixed at opening
/// @param withdrawDelay seconds between an exit and the refund
struct ChannelDescriptor {
    address payer;
    address payee;
    address token;
    uint8 signerKind;
    address signer;
    uint32 withdrawDelay;
    bytes32 salt;
}

enum ChannelStatus {
    None,
    Open,
    Closing,
    Closed
}

/// @notice State of a channel, in base units. deposit - settled is what the contract still holds for it.
/// @param closeAt unix seconds from when the refund can be withdrawn; zero while open
struct Channel {
    uint128 deposit;
    uint128 settled;
    uint40 closeAt;
    ChannelStatus status;
}

/// @notice One row of a redeem.
/// @param amount cumulative base units to settle, at most maxClaimable
/// @param maxClaimable ceiling that the channel's signer signed (Voucher)
/// @param signature 64-byte EIP-2098 over Voucher(channelId, maxClaimable)
struct RedeemRow {
    ChannelDescriptor descriptor;
    uint128 amount;
    uint128 maxClaimable;
    bytes signature;
}
