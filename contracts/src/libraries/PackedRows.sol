// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Rows of an event: channelId (32 bytes) then settled (16 bytes), back to back
library PackedRows {
    uint256 private constant ROW = 48;

    /// @return rows room for `count` rows
    function make(uint256 count) internal pure returns (bytes memory rows) {
        return new bytes(count * ROW);
    }

    /// @notice Writes a row. Rows are written in order, from 0.
    function write(bytes memory rows, uint256 index, bytes32 channelId, uint128 settled) internal pure {
        assembly ("memory-safe") {
            let row := add(add(rows, 32), mul(index, ROW))
            mstore(row, channelId)
            // The low half of this word is beyond the row: the next row, still unwritten, or what follows the array. It is kept.
            let tail := add(row, 32)
            mstore(tail, or(shl(128, settled), and(mload(tail), 0xffffffffffffffffffffffffffffffff)))
        }
    }

    /// @notice Drops the rows that were not written.
    function truncate(bytes memory rows, uint256 count) internal pure {
        assembly ("memory-safe") {
            mstore(rows, mul(count, ROW))
        }
    }
}
