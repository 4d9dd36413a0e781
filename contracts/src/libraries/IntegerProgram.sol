// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {MerkleTree} from "./MerkleTree.sol";

/// @title Programs of integer models, version 1 (docs/specs/integer-model.md)
library IntegerProgram {
    error ProgramLength(uint256 length);

    struct Op {
        uint256 opcode;
        uint256 flags;
        uint256 zeroPoint;
        uint256 shift;
        int256 mult;
        uint256 inputLength;
        uint256 outputLength;
        uint256 firstRow;
        uint256 rowBytes;
        uint256 reserved;
    }

    uint256 private constant HEADER = 16;
    uint256 private constant RECORD = 32;
    uint256 private constant MAX_OPS = 64;
    uint256 private constant MAX_LENGTH = 65_536;
    uint256 private constant DENSE = 1;
    /// "CUPI" and version 1, the first six bytes of a program.
    uint256 private constant MAGIC = 0x435550490001;

    /// @notice Number of records, whatever the header says. Reverts where the bytes cannot be cut into a header and records.
    function recordCount(bytes memory program) internal pure returns (uint256) {
        uint256 length = program.length;
        if (length < HEADER + RECORD || (length - HEADER) % RECORD != 0) revert ProgramLength(length);
        return (length - HEADER) / RECORD;
    }

    function headerInputLength(bytes memory program) internal pure returns (uint256) {
        return (word(program, 0) >> 160) & 0xffffffff;
    }

    function op(bytes memory program, uint256 index) internal pure returns (Op memory) {
        uint256 w = word(program, HEADER + index * RECORD);
        return Op({
            opcode: w >> 248,
            flags: (w >> 240) & 0xff,
            zeroPoint: (w >> 232) & 0xff,
            shift: (w >> 224) & 0xff,
            mult: int256(int32(uint32(w >> 192))),
            inputLength: (w >> 160) & 0xffffffff,
            outputLength: (w >> 128) & 0xffffffff,
            firstRow: (w >> 96) & 0xffffffff,
            rowBytes: (w >> 64) & 0xffffffff,
            reserved: w & type(uint64).max
        });
    }

    /// @notice Whether a program obeys the spec. One that does not is the fault of whoever registered its root.
    function isWellFormed(bytes memory program) internal pure returns (bool) {
        uint256 count = recordCount(program);
        uint256 header = word(program, 0);
        if (header >> 208 != MAGIC || (header >> 192) & 0xffff != count || count > MAX_OPS) return false;
        uint256 length = headerInputLength(program);
        uint256 row = 0;
        for (uint256 i = 0; i < count; ++i) {
            Op memory o = op(program, i);
            if (o.opcode != DENSE || o.flags != 0 || o.shift == 0 || o.shift > 62 || o.reserved != 0) return false;
            if (o.inputLength != length || length == 0 || length > MAX_LENGTH) return false;
            if (o.outputLength == 0 || o.outputLength > MAX_LENGTH) return false;
            if (o.firstRow != row || o.rowBytes != 32 + 32 * wordsIn(length)) return false;
            row += o.outputLength;
            length = o.outputLength;
        }
        return length == (header >> 128) & 0xffffffff;
    }

    /// @notice Root of header and records.
    function root(bytes memory program) internal pure returns (bytes32) {
        uint256 count = recordCount(program);
        bytes32[] memory leaves = new bytes32[](MerkleTree.powerOfTwo(count + 1));
        leaves[0] = keccak256(abi.encodePacked(uint8(0), uint32(0), bytes16(bytes32(word(program, 0)))));
        for (uint256 i = 1; i <= count; ++i) {
            leaves[i] = keccak256(abi.encodePacked(uint8(0), uint32(i), word(program, HEADER + (i - 1) * RECORD)));
        }
        return MerkleTree.root(leaves);
    }

    /// @notice The 32 bytes at `offset`.
    function word(bytes memory data, uint256 offset) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(data, 32), offset))
        }
    }

    /// @notice Words that hold `length` bytes.
    function wordsIn(uint256 length) internal pure returns (uint256) {
        return (length + 31) / 32;
    }
}
