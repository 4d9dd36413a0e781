// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Integer models made in a test, and a second reading of the spec: plain loops, one byte at a time
library TinyModel {
    struct Layer {
        uint32 inputs;
        uint32 outputs;
        uint8 zeroPoint;
        uint8 shift;
        int32 mult;
        int32[] biases;
        int8[] weights;
    }

    /// @notice A model with pseudo-random numbers.
    /// @param sizes input length, then each layer's output length
    function make(bytes32 seed, uint32[] memory sizes) internal pure returns (Layer[] memory layers) {
        layers = new Layer[](sizes.length - 1);
        for (uint256 i = 0; i < layers.length; ++i) {
            Layer memory l = layers[i];
            (l.inputs, l.outputs) = (sizes[i], sizes[i + 1]);
            seed = keccak256(abi.encode(seed));
            l.zeroPoint = uint8(uint256(seed));
            l.shift = uint8(1 + (uint256(seed) >> 8) % 62);
            l.mult = int32(uint32(uint256(seed) >> 64));
            l.biases = new int32[](l.outputs);
            l.weights = new int8[](uint256(l.outputs) * l.inputs);
            for (uint256 j = 0; j < l.outputs; ++j) {
                l.biases[j] = int32(uint32(uint256(keccak256(abi.encode(seed, "bias", j))))) / 4;
            }
            for (uint256 k = 0; k < l.weights.length; ++k) {
                l.weights[k] = int8(uint8(uint256(keccak256(abi.encode(seed, "weight", k)))));
            }
        }
    }

    function program(Layer[] memory layers) internal pure returns (bytes memory out) {
        uint32 last = layers[layers.length - 1].outputs;
        out = abi.encodePacked("CUPI", uint16(1), uint16(layers.length), layers[0].inputs, last);
        uint32 row = 0;
        for (uint256 i = 0; i < layers.length; ++i) {
            Layer memory l = layers[i];
            uint32 rowBytes = 32 + 32 * ((l.inputs + 31) / 32);
            out = bytes.concat(
                out,
                abi.encodePacked(uint8(1), uint8(0), l.zeroPoint, l.shift, l.mult, l.inputs, l.outputs),
                abi.encodePacked(row, rowBytes, uint64(0))
            );
            row += l.outputs;
        }
    }

    function weights(Layer[] memory layers) internal pure returns (bytes memory out) {
        for (uint256 i = 0; i < layers.length; ++i) {
            for (uint256 j = 0; j < layers[i].outputs; ++j) {
                out = bytes.concat(out, bytes32(uint256(int256(layers[i].biases[j]))), _row(layers[i], j));
            }
        }
    }

    function run(Layer[] memory layers, bytes memory input) internal pure returns (bytes memory output) {
        output = input;
        for (uint256 i = 0; i < layers.length; ++i) {
            Layer memory l = layers[i];
            bytes memory next = new bytes(l.outputs);
            for (uint256 j = 0; j < l.outputs; ++j) {
                int256 acc = l.biases[j];
                for (uint256 k = 0; k < l.inputs; ++k) {
                    acc += int256(uint256(uint8(output[k]))) * l.weights[j * l.inputs + k];
                }
                int256 rounded = acc * l.mult + int256(2 ** (uint256(l.shift) - 1));
                // Floor division is what an arithmetic shift does.
                int256 divisor = int256(2 ** uint256(l.shift));
                int256 quotient = rounded / divisor;
                if (rounded < 0 && quotient * divisor != rounded) quotient -= 1;
                int256 y = quotient + int256(uint256(l.zeroPoint));
                next[j] = bytes1(uint8(uint256(y < 0 ? int256(0) : y > 255 ? int256(255) : y)));
            }
            output = next;
        }
    }

    function _row(Layer memory l, uint256 j) private pure returns (bytes memory row) {
        uint256 words = (l.inputs + 31) / 32;
        row = new bytes(32 * words);
        for (uint256 k = 0; k < row.length; ++k) {
            uint8 stored = k < l.inputs ? uint8(uint256(int256(l.weights[j * l.inputs + k]) + 128)) : 0x80;
            row[32 * (k / 32) + 31 - (k % 32)] = bytes1(stored);
        }
    }
}
