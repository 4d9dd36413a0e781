// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {DisputeManager} from "../../src/DisputeManager.sol";
import {IArbiter} from "../../src/interfaces/IArbiter.sol";
import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {Signatures} from "../../src/libraries/Signatures.sol";
import {Case, Ruling, Verdict} from "../../src/types/Dispute.sol";
import {Mode, ModelStatus, VersionTerms} from "../../src/types/Model.sol";
import {Receipt} from "../../src/types/Receipt.sol";
import {Court} from "../support/Court.sol";

contract UndecidedArbiter is IArbiter {
    function open(bytes32, Receipt calldata, bytes32, bytes calldata) external pure returns (Ruling) {
        return Ruling.Pending;
    }
}

contract DisputeManagerTest is Court {
    uint256 private constant FIRST_SLASH = STAKE * FIRST_FAULT_BPS / 10_000;

    function test_challenge_firstFault() public {
        Case memory c = lie("r");
        bytes32 digest = digestOf(c);
        expectEvent(address(disputes));
        emit IDisputeManager.Challenged(digest, modelId, victim);
        expectEvent(address(vault));
        emit IStakeVault.BondRefunded(modelId, digest, victim, PRICE);
        expectEvent(address(disputes));
        emit IDisputeManager.Upheld(digest, modelId, victim, victim, FIRST_SLASH, PRICE);
        challengeAs(victim, c);

        yes(disputes.verdict(digest) == Verdict.Upheld, "verdict");
        yes(registry.model(modelId).status == ModelStatus.Suspended, "suspended in the same transaction");
        eq(registry.model(modelId).faults, 1, "faults");
        eq(vault.account(modelId).free, STAKE - FIRST_SLASH, "stake");
        eq(vault.account(modelId).bond, BOND - PRICE, "bond");
        // The price in micro is rounded up once.
        eq(dollar.balanceOf(victim), PRICE, "refund");
        // Challenger and beneficiary in one: both shares, capped, at most 30 %.
        eq(stakeToken.balanceOf(victim), 50e18 + 80e18, "shares");
    }

    function test_challenge_everyReceiptOnce() public {
        Case memory c = lie("r");
        challengeAs(victim, c);
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.AlreadyUpheld.selector, digestOf(c)));
        expectRefusal(payer, c, abi.encodeWithSelector(IDisputeManager.AlreadyUpheld.selector, digestOf(c)));
    }

    function test_challenge_laterFaultsCostTheirPrice() public {
        challengeAs(victim, lie("r"));
        Case memory c = lie("s");
        expectEvent(address(disputes));
        emit IDisputeManager.Upheld(digestOf(c), modelId, payer, victim, PRICE * FAULT_RATE, PRICE);
        challengeAs(payer, c);
        eq(registry.model(modelId).faults, 2, "faults");
    }

    /// A provider that disputes a receipt to itself, priced beyond all measure, does not get its bond back with it.
    function test_challenge_aHugePriceTakesAnEighthOfTheBond() public {
        Receipt memory r = receiptOf("r", keccak256("lie"));
        r.price = type(uint64).max;
        challengeAs(victim, caseOf(r));
        eq(dollar.balanceOf(victim), BOND / 8, "refund");
        eq(vault.account(modelId).bond, BOND - BOND / 8, "what other victims find");
    }

    /// With nothing left, a verdict is still recorded and nothing reverts.
    function test_challenge_atZeroBalance() public {
        challengeAs(victim, lie("r"));
        vm.startPrank(address(disputes));
        vault.slash(modelId, type(uint256).max, STRANGER, STRANGER);
        while (vault.refundBond(modelId, "x", STRANGER, type(uint256).max) != 0) {}
        vm.stopPrank();
        Case memory c = lie("s");
        expectEvent(address(disputes));
        emit IDisputeManager.Upheld(digestOf(c), modelId, victim, victim, 0, 0);
        challengeAs(victim, c);
        yes(disputes.verdict(digestOf(c)) == Verdict.Upheld, "verdict");
    }

    function test_challenge_reachesLockedAndUnbondingStake() public {
        vm.startPrank(owner);
        claims.postRoot(versionId, "root", 1, 100e6);
        registry.retire(modelId);
        vm.stopPrank();
        challengeAs(victim, lie("r"));
        eq(vault.account(modelId).unbonding + vault.account(modelId).locked, STAKE - FIRST_SLASH, "what is left");
        yes(registry.model(modelId).status == ModelStatus.Retired, "retired stays retired");
    }

    function test_challenge_aRightAnswerReverts() public {
        Case memory c = caseOf(receiptOf("r", rightHash));
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.AnswerIsRight.selector, digestOf(c)));
        eq(vault.account(modelId).free, STAKE, "stake");
    }

    function test_challenge_whoMay() public {
        challengeAs(payer, lie("by the payer"));
        Case memory c = lie("by a stranger");
        expectRefusal(STRANGER, c, abi.encodeWithSelector(IDisputeManager.NotEntitled.selector, STRANGER, victim, payer));
        challengeAs(STRANGER, withConsent(c, STRANGER, uint64(block.timestamp), VICTIM_KEY));
        c = lie("with the payer's consent");
        challengeAs(STRANGER, withConsent(c, STRANGER, uint64(block.timestamp), PAYER_KEY));
    }

    function test_challenge_consentRefusals() public {
        uint64 soon = uint64(block.timestamp);
        Case memory c = withConsent(lie("r"), ADMIN, soon, VICTIM_KEY);
        expectRefusal(STRANGER, c, abi.encodeWithSelector(IDisputeManager.ConsentForOther.selector, digestOf(c), ADMIN));
        c = withConsent(lie("r"), STRANGER, soon, VICTIM_KEY);
        c.consent.receipt = "other";
        expectRefusal(STRANGER, c, abi.encodeWithSelector(IDisputeManager.ConsentForOther.selector, bytes32("other"), STRANGER));
        c = withConsent(lie("r"), STRANGER, soon, EDGE_KEY);
        expectRefusal(STRANGER, c, abi.encodeWithSelector(IDisputeManager.ConsentNotByParty.selector, edge, victim, payer));
        c = withConsent(lie("r"), STRANGER, soon, VICTIM_KEY);
        vm.warp(soon + 1);
        expectRefusal(STRANGER, c, abi.encodeWithSelector(IDisputeManager.ConsentExpired.selector, soon, soon + 1));
    }

    function test_challenge_evidencePeriod() public {
        Case memory c = lie("r");
        uint64 issuedAt = c.receipt.issuedAt;
        uint256 until = uint256(issuedAt) + EVIDENCE;
        vm.warp(until + 1);
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.EvidenceOver.selector, issuedAt, until, until + 1));
        vm.warp(until);
        challengeAs(victim, c);
    }

    function test_challenge_receiptsFromTheFuture() public {
        Receipt memory r = receiptOf("r", keccak256("lie"));
        r.issuedAt = uint64(block.timestamp + 121);
        Case memory c = caseOf(r);
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.IssuedInFuture.selector, r.issuedAt, block.timestamp));
        r.issuedAt = uint64(block.timestamp + 120);
        challengeAs(victim, caseOf(r));
    }

    function test_challenge_grantRefusals() public {
        Case memory c = lie("r");
        c.grant.versionId = "other";
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.GrantForOtherVersion.selector, bytes32("other"), versionId));
        c = lie("r");
        c.grantSig = compact(EDGE_KEY, registry.grantDigest(c.grant));
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.GrantNotByOwner.selector, edge, owner));
        c = lie("r");
        c.grant.notAfter = c.receipt.issuedAt - 1;
        c.grantSig = compact(OWNER_KEY, registry.grantDigest(c.grant));
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.GrantExpired.selector, c.grant.notAfter, c.receipt.issuedAt));
        c = lie("r");
        c.grantSig = "";
        expectRefusal(victim, c, abi.encodeWithSelector(Signatures.SignatureLength.selector, 0));
    }

    function test_challenge_receiptMustBeSignedByTheGrantedKey() public {
        Case memory c = lie("r");
        c.receiptSig = compact(PAYER_KEY, digestOf(c));
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.ReceiptNotBySigner.selector, payer, edge));
        // Even the owner signs receipts only through a grant.
        c.receiptSig = compact(OWNER_KEY, digestOf(c));
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.ReceiptNotBySigner.selector, owner, edge));
        c = lie("r");
        c.receipt.price += 1;
        vm.expectRevert();
        challengeAs(victim, c);
    }

    function test_challenge_descriptorMustBeTheReceiptsChannel() public {
        Case memory c = lie("r");
        c.descriptor.salt = "other";
        bytes32 id = channels.channelIdOf(c.descriptor);
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.DescriptorMismatch.selector, id, c.receipt.channelId));
        c = lie("r");
        c.descriptor.payee = STRANGER;
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.PayeeNotProvider.selector, STRANGER, owner));
    }

    /// A provider cannot move its old receipts out of reach by naming another payout.
    function test_challenge_earlierPayoutsCount() public {
        Case memory c = lie("r");
        vm.prank(owner);
        registry.setProvider(OPERATOR, STRANGER);
        challengeAs(victim, c);
    }

    function test_challenge_anotherTokenIsPunishedWithoutRefund() public {
        Receipt memory r = receiptOf("r", keccak256("lie"));
        Case memory c = caseOf(r);
        c.descriptor.token = address(stakeToken);
        c.receipt.channelId = channels.channelIdOf(c.descriptor);
        c.receiptSig = compact(EDGE_KEY, digestOf(c));
        expectEvent(address(disputes));
        emit IDisputeManager.Upheld(digestOf(c), modelId, victim, victim, FIRST_SLASH, 0);
        challengeAs(victim, c);
    }

    /// A receipt without a beneficiary must not protect itself.
    function test_challenge_withoutBeneficiary() public {
        Receipt memory r = receiptOf("r", keccak256("lie"));
        r.beneficiary = address(0);
        challengeAs(payer, caseOf(r));
        eq(vault.account(modelId).bond, BOND, "bond");
        eq(vault.account(modelId).free, STAKE - FIRST_SLASH, "stake");
    }

    function test_challenge_versionRefusals() public {
        Case memory c = lie("r");
        c.receipt.versionId = "x";
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.UnknownVersion.selector, bytes32("x")));
        (, bytes32 replay) = registerModel("cheat/chat", Mode.Replay, 0);
        c.receipt.versionId = replay;
        expectRefusal(victim, c, abi.encodeWithSelector(IDisputeManager.NoArbiter.selector, replay, Mode.Replay));
    }

    function test_challenge_oldVersionsStayDisputable() public {
        Case memory c = lie("r");
        bytes32 root = registry.version(versionId).verificationRoot;
        vm.prank(owner);
        registry.addVersion(modelId, VersionTerms(keccak256("manifest 2"), root, Mode.IntegerExecution));
        challengeAs(victim, c);
    }

    function test_challenge_takesNoValue() public {
        Case memory c = lie("r");
        vm.deal(victim, 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeManager.NoBondNeeded.selector, 1));
        vm.prank(victim);
        disputes.challenge{value: 1}(c);
    }

    function test_challenge_gamesAreNotPlayedYet() public {
        address arbiter = address(new UndecidedArbiter());
        vm.prank(ADMIN);
        registry.installArbiter(Mode.ZeroKnowledge, arbiter);
        (, bytes32 zk) = registerModel("cheat/zk", Mode.ZeroKnowledge, "circuit");
        Receipt memory r = receiptOf("r", keccak256("lie"));
        r.versionId = zk;
        expectRefusal(victim, caseOf(r), abi.encodeWithSelector(IDisputeManager.GameNotSupported.selector, arbiter));
    }

    function test_constructor_checksWindowsAndWiring() public {
        DisputeManager.Settings memory s = disputeSettings();
        s.registry = address(0);
        vm.expectRevert(IDisputeManager.ZeroAddress.selector);
        new DisputeManager(s);
        s = disputeSettings();
        s.evidencePeriod = 0;
        vm.expectRevert(abi.encodeWithSelector(IDisputeManager.BadBounds.selector, "evidencePeriod"));
        new DisputeManager(s);
        s = disputeSettings();
        s.firstFaultBps = 4_999;
        vm.expectRevert(abi.encodeWithSelector(IDisputeManager.BadBounds.selector, "firstFaultBps"));
        new DisputeManager(s);
        s.firstFaultBps = 10_001;
        vm.expectRevert(abi.encodeWithSelector(IDisputeManager.BadBounds.selector, "firstFaultBps"));
        new DisputeManager(s);
        s = disputeSettings();
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.expectRevert(abi.encodeWithSelector(IDisputeManager.Miswired.selector, "vault.slasher", next, disputes));
        new DisputeManager(s);
    }

    function test_constructor_refusesAnExitShorterThanADispute() public {
        deployMarket();
        DisputeManager.Settings memory s = disputeSettings();
        s.margin += 1;
        uint256 required = uint256(UNBONDING) + 1;
        // Runs the constructor at the court's own address.
        vm.etch(address(disputes), abi.encodePacked(type(DisputeManager).creationCode, abi.encode(s)));
        vm.expectRevert(abi.encodeWithSelector(IDisputeManager.UnbondingTooShort.selector, UNBONDING, required));
        this.callCourt();
        s.margin = MARGIN;
        s.evidencePeriod = WINDOW - 1;
        vm.etch(address(disputes), abi.encodePacked(type(DisputeManager).creationCode, abi.encode(s)));
        vm.expectRevert(abi.encodeWithSelector(IDisputeManager.BadBounds.selector, "window"));
        this.callCourt();
    }

    /// Passes on what the code at the court's address says, for vm.expectRevert.
    function callCourt() external {
        (bool ok, bytes memory data) = address(disputes).call("");
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(data, 32), mload(data))
        }
    }
}
