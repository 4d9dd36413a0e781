// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Merkle trees with fixed positions
/// @notice node = keccak256(left, right); leaves padded with zero words to a power of two; one leaf is its own root; pairs are never sorted.
library MerkleTree {
    /// @notice Leaf `index` of a claim. The first byte keeps leaves and nodes apart.
    function receiptLeaf(uint64 index, bytes32 receiptDigest) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(0), index, receiptDigest));
    }

    /// @notice Root of `leaves`, whose length must be a power of two. Overwrites them.
    function root(bytes32[] memory leaves) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let first := add(leaves, 32)
            for { let size := mload(leaves) } gt(size, 1) { size := shr(1, size) } {
                let end := add(first, shl(5, size))
                let to := first
                for { let from := first } lt(from, end) { from := add(from, 64) } {
                    mstore(to, keccak256(from, 64))
                    to := add(to, 32)
                }
            }
            result := mload(first)
        }
    }

    /// @notice Whether `leaf` is at `index` under `rootHash`, in a tree of `count` leaves.
    /// @param proof siblings from the leaf up
    function verify(bytes32 rootHash, uint256 count, uint256 index, bytes32 leaf, bytes32[] calldata proof) internal pure returns (bool) {
        if (index >= count || proof.length != height(count)) return false;
        bytes32 node = leaf;
        for (uint256 i = 0; i < proof.length; ++i) {
            node = index & 1 == 0 ? keccak256(abi.encode(node, proof[i])) : keccak256(abi.encode(proof[i], node));
            index >>= 1;
        }
        return node == rootHash;
    }

    /// @return levels above the leaves of the smallest tree that holds `count` of them
    function height(uint256 count) internal pure returns (uint256 levels) {
        while ((uint256(1) << levels) < count) ++levels;
    }

    /// @return the smallest power of two that is at least `count`
    function powerOfTwo(uint256 count) internal pure returns (uint256) {
        return uint256(1) << height(count);
    }
}
