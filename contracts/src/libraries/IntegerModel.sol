// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IntegerProgram} from "./IntegerProgram.sol";
import {MerkleTree} from "./MerkleTree.sol";

/// @title Integer models, version 1 (docs/specs/integer-model.md)
/// @notice Equal, bit by bit, to packages/integer; both are compared by shared vectors.
library IntegerModel {
    error WeightLength(uint256 length, uint256 expected);

    /// Every fourth byte: eight lanes of 32 bits.
    uint256 private constant LANES = 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff;

    /// @notice verificationRoot = keccak256(programRoot, weightRoot, uint32 version).
    /// @dev Rows are cut as the records say even where the program is malformed, so that a malformed program can be shown to be the registered one.
    function verificationRoot(bytes memory program, bytes memory weights) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(IntegerProgram.root(program), weightRoot(program, weights), uint32(1)));
    }

    function weightRoot(bytes memory program, bytes memory weights) internal pure returns (bytes32) {
        uint256 count = IntegerProgram.recordCount(program);
        uint256 rows = 0;
        uint256 size = 0;
        for (uint256 i = 0; i < count; ++i) {
            IntegerProgram.Op memory o = IntegerProgram.op(program, i);
            rows += o.outputLength;
            size += o.outputLength * o.rowBytes;
        }
        // A row is at least its bias: more rows than that cannot be cut from these bytes.
        if (size != weights.length || rows * 32 > size) revert WeightLength(weights.length, size);
        bytes32[] memory leaves = new bytes32[](MerkleTree.powerOfTwo(rows));
        uint256 row = 0;
        uint256 offset = 32;
        for (uint256 i = 0; i < count; ++i) {
            IntegerProgram.Op memory o = IntegerProgram.op(program, i);
            _hashRows(weights, offset, o.rowBytes, row, o.outputLength, leaves);
            row += o.outputLength;
            offset += o.outputLength * o.rowBytes;
        }
        return MerkleTree.root(leaves);
    }

    /// @notice Root of a request's tensor: the salt, then the input.
    function inputHash(bytes32 salt, bytes memory input) internal pure returns (bytes32) {
        uint256 words = IntegerProgram.wordsIn(input.length);
        bytes32[] memory leaves = new bytes32[](MerkleTree.powerOfTwo(words + 1 < 2 ? 2 : words + 1));
        leaves[0] = salt;
        _copyWords(input, leaves, 1);
        return MerkleTree.root(leaves);
    }

    /// @notice Root of an answer's tensor.
    function outputHash(bytes memory output) internal pure returns (bytes32) {
        uint256 words = IntegerProgram.wordsIn(output.length);
        bytes32[] memory leaves = new bytes32[](MerkleTree.powerOfTwo(words < 2 ? 2 : words));
        _copyWords(output, leaves, 0);
        return MerkleTree.root(leaves);
    }

    /// @notice Runs a well-formed program on an input of the right length.
    /// @return sound false where a bias does not fit int32; the output then means nothing
    function run(bytes memory program, bytes memory weights, bytes memory input) internal pure returns (bool sound, bytes memory output) {
        uint256 count = IntegerProgram.recordCount(program);
        output = input;
        sound = true;
        uint256 offset = 32;
        for (uint256 i = 0; i < count; ++i) {
            IntegerProgram.Op memory o = IntegerProgram.op(program, i);
            bool rowsSound;
            (rowsSound, output) = _dense(o, weights, offset, output);
            sound = sound && rowsSound;
            offset += o.outputLength * o.rowBytes;
        }
    }

    /// One dense layer: `offset` is where its rows start, counted from the weights' length word.
    function _dense(IntegerProgram.Op memory o, bytes memory weights, uint256 offset, bytes memory input)
        private
        pure
        returns (bool sound, bytes memory output)
    {
        (bytes memory lanes, int256 inputSum) = _spread(input);
        output = new bytes(o.outputLength);
        // Nothing here can overflow: the spec bounds every length, and a row's sum stays below 2^33.
        unchecked {
            uint256 row = _address(weights) + offset;
            uint256 next = _address(output) + 32;
            for (uint256 end = next + o.outputLength; next < end; ++next) {
                (int256 bias, uint256 dot) = _dot(row, o.rowBytes, lanes);
                if (bias != int256(int32(bias))) return (false, output);
                // Weights are stored as w + 128.
                uint256 y = _requantise(o, bias + int256(dot) - 128 * inputSum);
                assembly ("memory-safe") {
                    mstore8(next, y)
                }
                row += o.rowBytes;
            }
        }
        sound = true;
    }

    function _address(bytes memory data) private pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := data
        }
    }

    /// Weight i of a word sits in byte 31 - i and input i in byte i, so masking every fourth byte of both gives two vectors of eight 32-bit lanes in opposite
    /// order: one multiplication leaves their dot product in the top lane. Lanes do not overflow: 8,192 products of at most 8 * 255 * 255
    /// stay below 2^32 for every length that the spec allows.
    function _dot(uint256 row, uint256 rowBytes, bytes memory lanes) private pure returns (int256 bias, uint256 dot) {
        assembly ("memory-safe") {
            bias := mload(row)
            let end := add(row, rowBytes)
            let b := add(lanes, 32)
            for { let p := add(row, 32) } lt(p, end) { p := add(p, 32) } {
                let w := mload(p)
                dot := add(
                    dot,
                    add(
                        add(mul(and(w, LANES), mload(b)), mul(and(shr(8, w), LANES), mload(add(b, 32)))),
                        add(mul(and(shr(16, w), LANES), mload(add(b, 64))), mul(and(shr(24, w), LANES), mload(add(b, 96))))
                    )
                )
                b := add(b, 128)
            }
            dot := shr(224, dot)
        }
    }

    /// clamp(((acc * mult + 2^(shift - 1)) >> shift) + zeroPoint, 0, 255), the shift arithmetic. int32 times int32 cannot overflow 256 bits.
    function _requantise(IntegerProgram.Op memory o, int256 acc) private pure returns (uint256) {
        unchecked {
            int256 y = ((acc * o.mult + (int256(1) << (o.shift - 1))) >> o.shift) + int256(o.zeroPoint);
            return y < 0 ? 0 : y > 255 ? 255 : uint256(y);
        }
    }

    /// Four words of lanes for each word of input, and the sum of the input.
    function _spread(bytes memory input) private pure returns (bytes memory lanes, int256 sum) {
        uint256 words = IntegerProgram.wordsIn(input.length);
        lanes = new bytes(words * 128);
        assembly ("memory-safe") {
            let to := add(lanes, 32)
            let total := 0
            let last := add(input, shl(5, words))
            for { let from := add(input, 32) } iszero(gt(from, last)) { from := add(from, 32) } {
                let x := mload(from)
                // Bytes beyond the input are not input, whatever memory holds there.
                let beyond := sub(add(from, 32), add(add(input, 32), mload(input)))
                if sgt(beyond, 0) { x := shl(shl(3, beyond), shr(shl(3, beyond), x)) }
                let a := and(shr(24, x), LANES)
                let b := and(shr(16, x), LANES)
                let c := and(shr(8, x), LANES)
                let d := and(x, LANES)
                mstore(to, a)
                mstore(add(to, 32), b)
                mstore(add(to, 64), c)
                mstore(add(to, 96), d)
                total := add(total, add(add(a, b), add(c, d)))
                to := add(to, 128)
            }
            // Eight lanes of partial sums, added up by one multiplication with eight ones.
            sum := shr(224, mul(total, 0x0000000100000001000000010000000100000001000000010000000100000001))
        }
    }

    /// leaf_r = keccak256(0x00, uint32 r, row). The prefix is written into the five bytes before the row for the hash, then put back.
    function _hashRows(bytes memory weights, uint256 offset, uint256 rowBytes, uint256 firstRow, uint256 rows, bytes32[] memory leaves)
        private
        pure
    {
        assembly ("memory-safe") {
            let row := add(weights, offset)
            let to := add(add(leaves, 32), shl(5, firstRow))
            let end := add(firstRow, rows)
            for { let r := firstRow } lt(r, end) { r := add(r, 1) } {
                let before := sub(row, 32)
                let kept := mload(before)
                mstore(before, or(shl(40, shr(40, kept)), r))
                mstore(to, keccak256(sub(row, 5), add(rowBytes, 5)))
                mstore(before, kept)
                row := add(row, rowBytes)
                to := add(to, 32)
            }
        }
    }

    function _copyWords(bytes memory from, bytes32[] memory to, uint256 firstWord) private pure {
        uint256 words = IntegerProgram.wordsIn(from.length);
        for (uint256 i = 0; i < words; ++i) {
            uint256 word = IntegerProgram.word(from, i * 32);
            uint256 left = from.length - i * 32;
            if (left < 32) word = (word >> (256 - 8 * left)) << (256 - 8 * left);
            to[firstWord + i] = bytes32(word);
        }
    }
}
