// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Mode, Model, ModelStatus, Prices, Provider, Version, VersionTerms} from "../types/Model.sol";
import {Receipt, SignerGrant} from "../types/Receipt.sol";

/// @title Who offers which model, at what price, under which terms
/// @notice modelId = keccak256(abi.encodePacked(owner, slug)); versionId = keccak256(abi.encode(modelId, uint32 number)), numbers from 1.
/// Versions are append-only and immutable. Nobody, the admin included, can change a version or replace an installed arbiter.
interface IModelRegistry {
    event ProviderSet(address indexed owner, address operator, address payout);
    event ModelRegistered(bytes32 indexed modelId, address indexed owner, string slug);
    event VersionAdded(
        bytes32 indexed modelId,
        bytes32 indexed versionId,
        uint32 number,
        bytes32 manifestHash,
        bytes32 verificationRoot,
        uint8 mode,
        address arbiter
    );
    event PricesSet(bytes32 indexed modelId, uint128 inputPerMillion, uint128 outputPerMillion, uint128 perRequest);
    event EndpointSet(bytes32 indexed modelId, string url);
    event SpecializationsSet(bytes32 indexed modelId, string[] tags);
    event ModelRetired(bytes32 indexed modelId);
    event ModelSuspended(bytes32 indexed modelId, uint32 faults);
    event ArbiterInstalled(uint8 indexed mode, address arbiter);

    error ZeroAddress();
    error ProviderNotSet(address owner);
    error AlreadyRegistered(bytes32 modelId);
    error UnknownModel(bytes32 modelId);
    error UnknownVersion(bytes32 versionId);
    error NotOwnerOrOperator(bytes32 modelId, address caller);
    error NotProvider(address owner, address caller);
    error NotActive(bytes32 modelId, ModelStatus status);
    error AlreadyRetired(bytes32 modelId);
    error BadLength(string field, uint256 length, uint256 max);
    error ZeroManifestHash();
    error ZeroVerificationRoot(Mode mode);
    error NotAdmin(address caller);
    error NotDisputeManager(address caller);
    error ArbiterAlreadyInstalled(Mode mode, address arbiter);
    error ModeHasNoArbiter(Mode mode);
    error NotAContract(address account);

    /// @notice The sender becomes (or stays) a provider. Receipts of channels to earlier payouts stay disputable.
    /// @param operator hot key, may be zero
    /// @param payout must not be zero
    function setProvider(address operator, address payout) external;

    /// @notice Registers a model and its version 1. Sender: `owner` or its operator.
    /// @param slug "<namespace>/<name>", 1 to 128 bytes
    /// @param endpoint public URL of the edge, 1 to 512 bytes
    /// @param specializations at most 16 tags of 1 to 64 bytes
    function register(
        address owner,
        string calldata slug,
        VersionTerms calldata terms,
        Prices calldata prices,
        string calldata endpoint,
        string[] calldata specializations
    ) external returns (bytes32 modelId, bytes32 versionId);

    /// @notice Adds a version to an active model; older ones stay disputable.
    function addVersion(bytes32 modelId, VersionTerms calldata terms) external returns (bytes32 versionId);

    function setPrices(bytes32 modelId, Prices calldata prices) external;

    function setEndpoint(bytes32 modelId, string calldata url) external;

    function setSpecializations(bytes32 modelId, string[] calldata tags) external;

    /// @notice Takes the model off the market for good and starts unbonding; possible while suspended.
    function retire(bytes32 modelId) external;

    /// @notice Counts a fault and suspends the model if it is active. Only the DisputeManager.
    /// @return faults upheld disputes so far, this one included
    function suspend(bytes32 modelId) external returns (uint32 faults);

    /// @notice Gives a mode its judge, once and for all; versions made before keep none. Only the admin.
    function installArbiter(Mode mode, address arbiter) external;

    function model(bytes32 modelId) external view returns (Model memory);

    function version(bytes32 versionId) external view returns (Version memory);

    function provider(address owner) external view returns (Provider memory);

    function pricesOf(bytes32 modelId) external view returns (Prices memory);

    function endpointOf(bytes32 modelId) external view returns (string memory);

    function isActive(bytes32 modelId) external view returns (bool);

    /// @notice Whether `account` is the model's owner or that owner's operator.
    function mayOperate(bytes32 modelId, address account) external view returns (bool);

    /// @notice Whether `account` is, or ever was, the payout of `owner`.
    function isPayout(address owner, address account) external view returns (bool);

    function admin() external view returns (address);

    function disputeManager() external view returns (address);

    function vault() external view returns (address);

    function arbiterOf(Mode mode) external view returns (address);

    function modelIdOf(address owner, string calldata slug) external pure returns (bytes32);

    function versionIdOf(bytes32 modelId, uint32 number) external pure returns (bytes32);

    /// @notice EIP-712 digest that a receipt signer signs.
    function receiptDigest(Receipt calldata receipt) external view returns (bytes32);

    /// @notice EIP-712 digest that an owner signs.
    function grantDigest(SignerGrant calldata grant) external view returns (bytes32);
}
