// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IArbiter} from "./interfaces/IArbiter.sol";
import {IClaimManager} from "./interfaces/IClaimManager.sol";
import {IDisputeManager} from "./interfaces/IDisputeManager.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {SignedMessages} from "./libraries/SignedMessages.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Case, Ruling, Verdict} from "./types/Dispute.sol";
import {Version} from "./types/Model.sol";
import {Consent, Receipt} from "./types/Receipt.sol";
import {StakeAccount} from "./types/Stake.sol";

/// @title The court (see IDisputeManager)
contract DisputeManager is IDisputeManager, EIP712, ReentrancyGuardTransient {
    struct Settings {
        address registry;
        address vault;
        address claimManager;
        uint64 evidencePeriod;
        uint64 maxGame;
        uint64 margin;
        uint16 firstFaultBps;
        uint96 faultRate;
    }

    uint256 private constant MICRO = 1e6;
    uint256 private constant BPS = 10_000;
    uint16 private constant LOWEST_FIRST_FAULT_BPS = 5_000;
    /// A receipt may be dated at most this many seconds ahead of the block.
    uint64 private constant CLOCK_SKEW = 120;

    IModelRegistry public immutable registry;
    IStakeVault public immutable vault;
    uint64 public immutable evidencePeriod;
    uint64 public immutable maxGame;
    uint16 public immutable firstFaultBps;
    uint96 public immutable faultRate;

    mapping(bytes32 receiptDigest => Verdict) public verdict;

    /// The one place that sees registry, vault and claims together: wiring and windows are checked here, or nothing is deployed.
    constructor(Settings memory s) EIP712("DisputeManager", "1") {
        if (s.registry == address(0) || s.vault == address(0) || s.claimManager == address(0)) revert ZeroAddress();
        if (s.evidencePeriod == 0) revert BadBounds("evidencePeriod");
        if (s.firstFaultBps < LOWEST_FIRST_FAULT_BPS || s.firstFaultBps > BPS) revert BadBounds("firstFaultBps");
        registry = IModelRegistry(s.registry);
        vault = IStakeVault(s.vault);
        evidencePeriod = s.evidencePeriod;
        maxGame = s.maxGame;
        firstFaultBps = s.firstFaultBps;
        faultRate = s.faultRate;
        _requireWired("vault.slasher", address(this), IStakeVault(s.vault).slasher());
        _requireWired("vault.registry", s.registry, IStakeVault(s.vault).registry());
        _requireWired("vault.claimManager", s.claimManager, IStakeVault(s.vault).claimManager());
        _requireWired("registry.disputeManager", address(this), IModelRegistry(s.registry).disputeManager());
        _requireWired("registry.vault", s.vault, IModelRegistry(s.registry).vault());
        _requireWired("claimManager.registry", s.registry, IClaimManager(s.claimManager).registry());
        _requireWired("claimManager.vault", s.vault, IClaimManager(s.claimManager).vault());
        uint64 window = IClaimManager(s.claimManager).window();
        if (window > s.evidencePeriod) revert BadBounds("window");
        uint256 required = uint256(s.evidencePeriod) + window + s.maxGame + s.margin;
        uint256 unbonding = IStakeVault(s.vault).unbondingPeriod();
        if (unbonding < required) revert UnbondingTooShort(unbonding, required);
    }

    function challenge(Case calldata submission) external payable nonReentrant {
        if (msg.value != 0) revert NoBondNeeded(msg.value);
        Receipt calldata receipt = submission.receipt;
        bytes32 digest = registry.receiptDigest(receipt);
        if (verdict[digest] == Verdict.Upheld) revert AlreadyUpheld(digest);
        Version memory version = registry.version(receipt.versionId);
        if (version.modelId == 0) revert UnknownVersion(receipt.versionId);
        if (version.arbiter == address(0)) revert NoArbiter(receipt.versionId, version.mode);
        _requireInEvidence(receipt.issuedAt);
        _requireSigned(submission, digest, registry.model(version.modelId).owner);
        _requireEntitled(submission, digest);
        emit Challenged(digest, version.modelId, msg.sender);

        bytes32 caseId = keccak256(abi.encode(digest, msg.sender));
        Ruling ruling = IArbiter(version.arbiter).open(caseId, receipt, version.verificationRoot, submission.evidence);
        if (ruling == Ruling.Rejected) revert AnswerIsRight(digest);
        if (ruling == Ruling.Pending) revert GameNotSupported(version.arbiter);
        verdict[digest] = Verdict.Upheld;
        _punish(submission, digest, version.modelId);
    }

    function consentDigest(Consent calldata consent) public view returns (bytes32) {
        return _hashTypedDataV4(SignedMessages.consent(consent));
    }

    /// Refund first, so that victims come before the burn; neither call reverts for lack of money.
    function _punish(Case calldata submission, bytes32 digest, bytes32 modelId) private {
        address beneficiary = submission.receipt.beneficiary;
        uint256 price = Math.ceilDiv(submission.receipt.price, MICRO);
        // The bond is held in the payment token: a price in another token has no amount in it.
        uint256 refund = submission.descriptor.token == vault.paymentToken() ? price : 0;
        bool first = registry.suspend(modelId) == 1;
        refund = vault.refundBond(modelId, digest, beneficiary, refund);
        uint256 slashed = vault.slash(modelId, first ? _firstFault(modelId) : price * faultRate, msg.sender, beneficiary);
        emit Upheld(digest, modelId, msg.sender, beneficiary, slashed, refund);
    }

    function _firstFault(bytes32 modelId) private view returns (uint256) {
        StakeAccount memory a = vault.account(modelId);
        return Math.mulDiv(uint256(a.free) + a.locked + a.unbonding, firstFaultBps, BPS, Math.Rounding.Ceil);
    }

    function _requireInEvidence(uint64 issuedAt) private view {
        if (issuedAt > block.timestamp + CLOCK_SKEW) revert IssuedInFuture(issuedAt, block.timestamp);
        uint256 until = uint256(issuedAt) + evidencePeriod;
        if (block.timestamp > until) revert EvidenceOver(issuedAt, until, block.timestamp);
    }

    /// The owner's cold key vouches for the edge's key, which signed the receipt.
    function _requireSigned(Case calldata submission, bytes32 digest, address owner) private view {
        if (submission.grant.versionId != submission.receipt.versionId) {
            revert GrantForOtherVersion(submission.grant.versionId, submission.receipt.versionId);
        }
        if (submission.receipt.issuedAt > submission.grant.notAfter) {
            revert GrantExpired(submission.grant.notAfter, submission.receipt.issuedAt);
        }
        address granter = Signatures.recover(registry.grantDigest(submission.grant), submission.grantSig);
        if (granter != owner) revert GrantNotByOwner(granter, owner);
        address signer = Signatures.recover(digest, submission.receiptSig);
        if (signer != submission.grant.signer) revert ReceiptNotBySigner(signer, submission.grant.signer);
        // Every payout that the owner ever named counts, so that naming a new one does not put old receipts out of reach.
        if (!registry.isPayout(owner, submission.descriptor.payee)) revert PayeeNotProvider(submission.descriptor.payee, owner);
    }

    function _requireEntitled(Case calldata submission, bytes32 digest) private view {
        bytes32 channelId = SignedMessages.channelId(submission.descriptor);
        if (channelId != submission.receipt.channelId) revert DescriptorMismatch(channelId, submission.receipt.channelId);
        (address beneficiary, address payer) = (submission.receipt.beneficiary, submission.descriptor.payer);
        if (msg.sender == beneficiary || msg.sender == payer) return;
        if (submission.consentSig.length == 0) revert NotEntitled(msg.sender, beneficiary, payer);
        Consent calldata consent = submission.consent;
        if (consent.receipt != digest || consent.challenger != msg.sender) revert ConsentForOther(consent.receipt, consent.challenger);
        if (block.timestamp > consent.notAfter) revert ConsentExpired(consent.notAfter, block.timestamp);
        address by = Signatures.recover(consentDigest(consent), submission.consentSig);
        if (by != beneficiary && by != payer) revert ConsentNotByParty(by, beneficiary, payer);
    }

    function _requireWired(string memory field, address expected, address actual) private pure {
        if (expected != actual) revert Miswired(field, expected, actual);
    }
}
