// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbiter} from "../interfaces/IArbiter.sol";
import {IExecutionArbiter} from "../interfaces/IExecutionArbiter.sol";
import {IntegerModel} from "../libraries/IntegerModel.sol";
import {IntegerProgram} from "../libraries/IntegerProgram.sol";
import {Ruling} from "../types/Dispute.sol";
import {Receipt} from "../types/Receipt.sol";

/// @title Judge that runs an integer model itself (see IExecutionArbiter)
contract ExecutionArbiter is IExecutionArbiter {
    /// @inheritdoc IArbiter
    function open(bytes32, Receipt calldata receipt, bytes32 registeredRoot, bytes calldata evidence) external view returns (Ruling) {
        (bytes memory program, address pointer, bytes32 salt, bytes memory input) = abi.decode(evidence, (bytes, address, bytes32, bytes));
        bytes memory weights = _load(pointer);
        bytes32 root = IntegerModel.verificationRoot(program, weights);
        if (root != registeredRoot) revert RootMismatch(root, registeredRoot);
        if (!IntegerProgram.isWellFormed(program)) return Ruling.Upheld;
        bytes32 inputHash = _inputHash(program, salt, input);
        if (inputHash != receipt.inputHash) revert InputMismatch(inputHash, receipt.inputHash);
        (bool sound, bytes memory output) = IntegerModel.run(program, weights, input);
        return sound && IntegerModel.outputHash(output) == receipt.outputHash ? Ruling.Rejected : Ruling.Upheld;
    }

    /// @inheritdoc IExecutionArbiter
    function run(bytes calldata program, address weightsPointer, bytes32 salt, bytes calldata input)
        external
        view
        returns (bytes32 verificationRoot, bytes32 inputHash, bytes32 outputHash, bytes memory output)
    {
        bytes memory weights = _load(weightsPointer);
        verificationRoot = IntegerModel.verificationRoot(program, weights);
        if (!IntegerProgram.isWellFormed(program)) revert MalformedProgram();
        inputHash = _inputHash(program, salt, input);
        bool sound;
        (sound, output) = IntegerModel.run(program, weights, input);
        if (!sound) revert MalformedWeights();
        outputHash = IntegerModel.outputHash(output);
    }

    /// Zero padding hashes like input, so the length must be right for the hash to name one input.
    function _inputHash(bytes memory program, bytes32 salt, bytes memory input) private pure returns (bytes32) {
        uint256 expected = IntegerProgram.headerInputLength(program);
        if (input.length != expected) revert InputLength(input.length, expected);
        return IntegerModel.inputHash(salt, input);
    }

    /// Reads a data contract: 0x00, then the bytes.
    function _load(address pointer) private view returns (bytes memory data) {
        uint256 size = pointer.code.length;
        if (size < 2) revert NoWeightData(pointer);
        data = new bytes(size - 1);
        bytes32 head;
        assembly ("memory-safe") {
            extcodecopy(pointer, 0, 0, 1)
            head := byte(0, mload(0))
            extcodecopy(pointer, add(data, 32), 1, sub(size, 1))
        }
        if (head != 0) revert NoWeightData(pointer);
    }
}
