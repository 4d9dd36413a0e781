// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {SignedMessages} from "./libraries/SignedMessages.sol";
import {Mode, Model, ModelStatus, Prices, Provider, Version, VersionTerms} from "./types/Model.sol";
import {Receipt, SignerGrant} from "./types/Receipt.sol";

/// @title Who offers which model (see IModelRegistry)
contract ModelRegistry is IModelRegistry, EIP712 {
    uint256 private constant MAX_SLUG = 128;
    uint256 private constant MAX_ENDPOINT = 512;
    uint256 private constant MAX_TAGS = 16;
    uint256 private constant MAX_TAG = 64;

    address public immutable admin;
    address public immutable vault;
    address public immutable disputeManager;

    mapping(Mode mode => address) public arbiterOf;
    mapping(address owner => mapping(address payout => bool)) public isPayout;
    mapping(address owner => Provider) private providers;
    mapping(bytes32 modelId => Model) private models;
    mapping(bytes32 versionId => Version) private versions;
    mapping(bytes32 modelId => Prices) private priceLists;
    mapping(bytes32 modelId => string) private endpoints;

    constructor(address arbiterAdmin, address stakeVault, address court) EIP712("ModelRegistry", "1") {
        if (arbiterAdmin == address(0) || stakeVault == address(0) || court == address(0)) revert ZeroAddress();
        admin = arbiterAdmin;
        vault = stakeVault;
        disputeManager = court;
    }

    function setProvider(address operator, address payout) external {
        if (payout == address(0)) revert ZeroAddress();
        providers[msg.sender] = Provider({operator: operator, payout: payout});
        isPayout[msg.sender][payout] = true;
        emit ProviderSet(msg.sender, operator, payout);
    }

    function register(
        address owner,
        string calldata slug,
        VersionTerms calldata terms,
        Prices calldata prices,
        string calldata endpoint,
        string[] calldata specializations
    ) external returns (bytes32 modelId, bytes32 versionId) {
        Provider storage p = providers[owner];
        if (p.payout == address(0)) revert ProviderNotSet(owner);
        if (msg.sender != owner && msg.sender != p.operator) revert NotProvider(owner, msg.sender);
        _requireLength("slug", bytes(slug).length, MAX_SLUG);
        modelId = modelIdOf(owner, slug);
        if (models[modelId].status != ModelStatus.None) revert AlreadyRegistered(modelId);
        models[modelId] = Model({owner: owner, latestVersion: 0, registeredAt: uint64(block.number), status: ModelStatus.Active, faults: 0});
        emit ModelRegistered(modelId, owner, slug);
        versionId = _addVersion(modelId, terms);
        _setPrices(modelId, prices);
        _setEndpoint(modelId, endpoint);
        _setSpecializations(modelId, specializations);
    }

    function addVersion(bytes32 modelId, VersionTerms calldata terms) external returns (bytes32 versionId) {
        _requireActiveAndMine(modelId);
        return _addVersion(modelId, terms);
    }

    function setPrices(bytes32 modelId, Prices calldata prices) external {
        _requireActiveAndMine(modelId);
        _setPrices(modelId, prices);
    }

    function setEndpoint(bytes32 modelId, string calldata url) external {
        _requireActiveAndMine(modelId);
        _setEndpoint(modelId, url);
    }

    function setSpecializations(bytes32 modelId, string[] calldata tags) external {
        _requireActiveAndMine(modelId);
        _setSpecializations(modelId, tags);
    }

    function retire(bytes32 modelId) external {
        ModelStatus status = _requireMine(modelId);
        if (status == ModelStatus.Retired) revert AlreadyRetired(modelId);
        models[modelId].status = ModelStatus.Retired;
        emit ModelRetired(modelId);
        IStakeVault(vault).startUnbond(modelId);
    }

    function suspend(bytes32 modelId) external returns (uint32 faults) {
        if (msg.sender != disputeManager) revert NotDisputeManager(msg.sender);
        Model storage m = models[modelId];
        faults = ++m.faults;
        if (m.status == ModelStatus.Active) m.status = ModelStatus.Suspended;
        emit ModelSuspended(modelId, faults);
    }

    function installArbiter(Mode mode, address arbiter) external {
        if (msg.sender != admin) revert NotAdmin(msg.sender);
        if (mode == Mode.None) revert ModeHasNoArbiter(mode);
        if (arbiterOf[mode] != address(0)) revert ArbiterAlreadyInstalled(mode, arbiterOf[mode]);
        if (arbiter.code.length == 0) revert NotAContract(arbiter);
        arbiterOf[mode] = arbiter;
        emit ArbiterInstalled(uint8(mode), arbiter);
    }

    function model(bytes32 modelId) external view returns (Model memory) {
        return models[modelId];
    }

    function version(bytes32 versionId) external view returns (Version memory) {
        return versions[versionId];
    }

    function provider(address owner) external view returns (Provider memory) {
        return providers[owner];
    }

    function pricesOf(bytes32 modelId) external view returns (Prices memory) {
        return priceLists[modelId];
    }

    function endpointOf(bytes32 modelId) external view returns (string memory) {
        return endpoints[modelId];
    }

    function isActive(bytes32 modelId) external view returns (bool) {
        return models[modelId].status == ModelStatus.Active;
    }

    function receiptDigest(Receipt calldata receipt) external view returns (bytes32) {
        return _hashTypedDataV4(SignedMessages.receipt(receipt));
    }

    function grantDigest(SignerGrant calldata grant) external view returns (bytes32) {
        return _hashTypedDataV4(SignedMessages.signerGrant(grant));
    }

    function mayOperate(bytes32 modelId, address account) public view returns (bool) {
        address owner = models[modelId].owner;
        return account != address(0) && (account == owner || account == providers[owner].operator);
    }

    function modelIdOf(address owner, string calldata slug) public pure returns (bytes32) {
        return keccak256(abi.encodePacked(owner, slug));
    }

    function versionIdOf(bytes32 modelId, uint32 number) public pure returns (bytes32) {
        return keccak256(abi.encode(modelId, number));
    }

    /// The arbiter is copied: what the admin installs later never reaches an older version.
    function _addVersion(bytes32 modelId, VersionTerms calldata terms) private returns (bytes32 versionId) {
        if (terms.manifestHash == 0) revert ZeroManifestHash();
        if (terms.verificationRoot == 0 && terms.mode > Mode.Replay) revert ZeroVerificationRoot(terms.mode);
        uint32 number = ++models[modelId].latestVersion;
        versionId = versionIdOf(modelId, number);
        address arbiter = arbiterOf[terms.mode];
        versions[versionId] = Version({
            modelId: modelId, manifestHash: terms.manifestHash, verificationRoot: terms.verificationRoot, mode: terms.mode, arbiter: arbiter
        });
        emit VersionAdded(modelId, versionId, number, terms.manifestHash, terms.verificationRoot, uint8(terms.mode), arbiter);
    }

    function _setPrices(bytes32 modelId, Prices calldata prices) private {
        priceLists[modelId] = prices;
        emit PricesSet(modelId, prices.inputPerMillion, prices.outputPerMillion, prices.perRequest);
    }

    function _setEndpoint(bytes32 modelId, string calldata url) private {
        _requireLength("endpoint", bytes(url).length, MAX_ENDPOINT);
        endpoints[modelId] = url;
        emit EndpointSet(modelId, url);
    }

    function _setSpecializations(bytes32 modelId, string[] calldata tags) private {
        if (tags.length > MAX_TAGS) revert BadLength("specializations", tags.length, MAX_TAGS);
        for (uint256 i = 0; i < tags.length; ++i) {
            _requireLength("specialization", bytes(tags[i]).length, MAX_TAG);
        }
        emit SpecializationsSet(modelId, tags);
    }

    function _requireActiveAndMine(bytes32 modelId) private view {
        ModelStatus status = _requireMine(modelId);
        if (status != ModelStatus.Active) revert NotActive(modelId, status);
    }

    function _requireMine(bytes32 modelId) private view returns (ModelStatus status) {
        status = models[modelId].status;
        if (status == ModelStatus.None) revert UnknownModel(modelId);
        if (!mayOperate(modelId, msg.sender)) revert NotOwnerOrOperator(modelId, msg.sender);
    }

    function _requireLength(string memory field, uint256 length, uint256 max) private pure {
        if (length == 0 || length > max) revert BadLength(field, length, max);
    }
}
