// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IPaymentChannels} from "../interfaces/IPaymentChannels.sol";
import {SignedMessages} from "../libraries/SignedMessages.sol";
import {ChannelDescriptor} from "../types/Channel.sol";

/// @title What is signed about a channel
abstract contract ChannelMessages is IPaymentChannels, EIP712 {
    constructor() EIP712("PaymentChannels", "1") {}

    function channelIdOf(ChannelDescriptor calldata descriptor) external pure returns (bytes32) {
        return SignedMessages.channelId(descriptor);
    }

    function sessionDigest(bytes32 channelId, bytes32 keyHash, uint128 maxUnpaid, uint64 notAfter) external view returns (bytes32) {
        return _hashTypedDataV4(SignedMessages.session(channelId, keyHash, maxUnpaid, notAfter));
    }

    function voucherDigest(bytes32 channelId, uint128 maxClaimableAmount) public view returns (bytes32) {
        return _hashTypedDataV4(SignedMessages.voucher(channelId, maxClaimableAmount));
    }

    function openAuthorizationDigest(bytes32 channelId, uint128 amount, bytes32 nonce, uint64 deadline) public view returns (bytes32) {
        return _hashTypedDataV4(SignedMessages.openAuthorization(channelId, amount, nonce, deadline));
    }

    function closeAuthorizationDigest(bytes32 channelId, uint128 finalAmount, uint64 deadline) public view returns (bytes32) {
        return _hashTypedDataV4(SignedMessages.closeAuthorization(channelId, finalAmount, deadline));
    }
}
