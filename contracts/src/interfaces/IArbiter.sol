// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ruling} from "../types/Dispute.sol";
import {Receipt} from "../types/Receipt.sol";

/// @title Judge of one verification mode
interface IArbiter {
    /// @notice Judges an answer, or opens a game about it.
    /// @param caseId keccak256(abi.encode(receiptDigest, challenger))
    /// @param receipt the receipt, its signatures already checked
    /// @param verificationRoot of the receipt's version
    /// @param evidence as the mode defines it; evidence that does not fit the receipt reverts
    function open(bytes32 caseId, Receipt calldata receipt, bytes32 verificationRoot, bytes calldata evidence) external returns (Ruling);
}
