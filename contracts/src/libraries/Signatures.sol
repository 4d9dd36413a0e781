// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title The one accepted signature form
/// @notice 64 bytes as in EIP-2098: r, then s with the parity of y in its top bit. High s and an unrecoverable signature are refused,
/// so that a digest has one signature per key and nothing is ever signed by the zero address.
library Signatures {
    error SignatureLength(uint256 length);
    error SignatureHighS(bytes32 s);
    error SignatureInvalid();

    /// Half the order of secp256k1, rounded down.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @return signer never zero
    function recover(bytes32 digest, bytes calldata signature) internal pure returns (address signer) {
        if (signature.length != 64) revert SignatureLength(signature.length);
        bytes32 r = bytes32(signature[0:32]);
        uint256 vs = uint256(bytes32(signature[32:64]));
        uint256 s = vs & (type(uint256).max >> 1);
        if (s > HALF_ORDER) revert SignatureHighS(bytes32(s));
        signer = ecrecover(digest, uint8(27 + (vs >> 255)), r, bytes32(s));
        if (signer == address(0)) revert SignatureInvalid();
    }
}
