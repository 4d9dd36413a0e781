// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbiter} from "./IArbiter.sol";

/// @title Judge that runs an integer model itself (docs/specs/integer-model.md)
/// @notice evidence = abi.encode(bytes program, address weightsPointer, bytes32 salt, bytes input). Stateless.
/// A program or weight row that the spec calls malformed counts against the provider who registered it.
interface IExecutionArbiter is IArbiter {
    error NoWeightData(address pointer);
    error MalformedProgram();
    error MalformedWeights();
    error RootMismatch(bytes32 computed, bytes32 registered);
    error InputLength(uint256 length, uint256 expected);
    error InputMismatch(bytes32 computed, bytes32 receipt);

    /// @notice Runs a model as `open` would; here a malformed one reverts.
    /// @return verificationRoot of program and weights
    /// @return inputHash root of the salted input tensor
    /// @return outputHash root of the output tensor
    /// @return output the answer
    function run(bytes calldata program, address weightsPointer, bytes32 salt, bytes calldata input)
        external
        view
        returns (bytes32 verificationRoot, bytes32 inputHash, bytes32 outputHash, bytes memory output);
}
