// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Case, Verdict} from "../types/Dispute.sol";
import {Mode} from "../types/Model.sol";
import {Consent} from "../types/Receipt.sol";

/// @title The court
/// @notice A provider-signed receipt is evidence by itself until issuedAt + evidencePeriod, posted or not. The sender is the challenger, so a copied transaction earns nothing.
/// The first upheld fault of a model slashes a share of all its stake and suspends it; later ones cost faultRate per base unit of the price. No verdict reverts at a zero balance.
interface IDisputeManager {
    event Challenged(bytes32 indexed receiptDigest, bytes32 indexed modelId, address indexed challenger);
    event Upheld(
        bytes32 indexed receiptDigest,
        bytes32 indexed modelId,
        address indexed challenger,
        address beneficiary,
        uint256 slashed,
        uint256 refund
    );

    error ZeroAddress();
    error BadBounds(string field);
    error UnbondingTooShort(uint256 unbonding, uint256 required);
    error Miswired(string field, address expected, address actual);
    error UnknownVersion(bytes32 versionId);
    error NoArbiter(bytes32 versionId, Mode mode);
    error GrantForOtherVersion(bytes32 granted, bytes32 versionId);
    error GrantNotByOwner(address recovered, address owner);
    error GrantExpired(uint64 notAfter, uint64 issuedAt);
    error ReceiptNotBySigner(address recovered, address signer);
    error IssuedInFuture(uint64 issuedAt, uint256 timestamp);
    error EvidenceOver(uint64 issuedAt, uint256 until, uint256 timestamp);
    error DescriptorMismatch(bytes32 channelId, bytes32 receiptChannelId);
    error PayeeNotProvider(address payee, address owner);
    error NotEntitled(address caller, address beneficiary, address payer);
    error ConsentForOther(bytes32 receiptDigest, address challenger);
    error ConsentExpired(uint64 notAfter, uint256 timestamp);
    error ConsentNotByParty(address recovered, address beneficiary, address payer);
    error AlreadyUpheld(bytes32 receiptDigest);
    error AnswerIsRight(bytes32 receiptDigest);
    error GameNotSupported(address arbiter);
    error NoBondNeeded(uint256 value);

    /// @notice Disputes a receipt before the arbiter of its version. Sender: beneficiary, payer, or whoever holds a Consent of one of them.
    /// Reverts with AnswerIsRight if the accusation is wrong. Arbiters that rule at once need no bond: send no value.
    function challenge(Case calldata submission) external payable;

    function verdict(bytes32 receiptDigest) external view returns (Verdict);

    /// @notice EIP-712 digest that a beneficiary or payer signs.
    function consentDigest(Consent calldata consent) external view returns (bytes32);

    /// @notice Seconds from issuedAt in which a receipt can be challenged.
    function evidencePeriod() external view returns (uint64);

    /// @notice Longest game of any arbiter, in seconds.
    function maxGame() external view returns (uint64);

    /// @notice Share of all stake that the first fault takes, in 1/10,000.
    function firstFaultBps() external view returns (uint16);

    /// @notice Units of stake that later faults cost per base unit of the receipt's price.
    function faultRate() external view returns (uint96);
}
