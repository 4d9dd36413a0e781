// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {DataStore} from "../../src/DataStore.sol";
import {ExecutionArbiter} from "../../src/arbiters/ExecutionArbiter.sol";
import {Case} from "../../src/types/Dispute.sol";
import {Mode} from "../../src/types/Model.sol";
import {Consent, Receipt, SignerGrant} from "../../src/types/Receipt.sol";
import {Market} from "./Market.sol";
import {TinyModel} from "./TinyModel.sol";

/// @title A staked integer model, its receipts, and cases about them
abstract contract Court is Market {
    uint256 internal constant STAKE = 1_000e18;
    uint256 internal constant BOND = 20_000;
    uint128 internal constant PRICE_MICRO = 1_499_999_999;
    uint256 internal constant PRICE = 1_500;

    bytes32 internal modelId;
    bytes32 internal versionId;
    bytes internal program;
    address internal pointer;
    bytes internal input = hex"01ff800005";
    bytes32 internal inputHash;
    bytes32 internal rightHash;

    function setUp() public virtual {
        deployMarket();
        ExecutionArbiter judge = new ExecutionArbiter();
        vm.prank(ADMIN);
        registry.installArbiter(Mode.IntegerExecution, address(judge));
        uint32[] memory sizes = new uint32[](3);
        (sizes[0], sizes[1], sizes[2]) = (5, 4, 3);
        TinyModel.Layer[] memory layers = TinyModel.make("model", sizes);
        program = TinyModel.program(layers);
        pointer = new DataStore().store(TinyModel.weights(layers));
        bytes32 root;
        (root, inputHash, rightHash,) = judge.run(program, pointer, "salt", input);
        (modelId, versionId) = registerModel("cheat/digits", Mode.IntegerExecution, root);
        stakeModel(modelId, STAKE, BOND);
    }

    /// A case about a false answer, as the victim would bring it.
    function lie(bytes32 requestId) internal view returns (Case memory c) {
        return caseOf(receiptOf(requestId, keccak256("lie")));
    }

    function receiptOf(bytes32 requestId, bytes32 outputHash) internal view returns (Receipt memory) {
        return Receipt({
            versionId: versionId,
            requestId: requestId,
            channelId: channels.channelIdOf(descriptorOf("a")),
            inputHash: inputHash,
            outputHash: outputHash,
            paramsHash: "params",
            inputUnits: 5,
            outputUnits: 3,
            price: PRICE_MICRO,
            cumulative: PRICE_MICRO,
            beneficiary: victim,
            issuedAt: uint64(block.timestamp),
            outcome: 0
        });
    }

    function caseOf(Receipt memory receipt) internal view returns (Case memory c) {
        c.receipt = receipt;
        c.grant = SignerGrant(receipt.versionId, edge, type(uint64).max);
        c.grantSig = compact(OWNER_KEY, registry.grantDigest(c.grant));
        c.descriptor = descriptorOf("a");
        c.evidence = abi.encode(program, pointer, bytes32("salt"), input);
        c.receiptSig = compact(EDGE_KEY, digestOf(c));
    }

    function withConsent(Case memory c, address challenger, uint64 notAfter, uint256 key) internal view returns (Case memory) {
        c.consent = Consent(digestOf(c), challenger, notAfter);
        c.consentSig = compact(key, disputes.consentDigest(c.consent));
        return c;
    }

    function digestOf(Case memory c) internal view returns (bytes32) {
        return registry.receiptDigest(c.receipt);
    }

    function challengeAs(address sender, Case memory c) internal {
        vm.prank(sender);
        disputes.challenge(c);
    }

    function expectRefusal(address sender, Case memory c, bytes memory reason) internal {
        vm.expectRevert(reason);
        challengeAs(sender, c);
    }
}
