// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {DataStore} from "../../src/DataStore.sol";
import {DisputeManager} from "../../src/DisputeManager.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {ExecutionArbiter} from "../../src/arbiters/ExecutionArbiter.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {Signatures} from "../../src/libraries/Signatures.sol";
import {ChannelDescriptor} from "../../src/types/Channel.sol";
import {Ruling} from "../../src/types/Dispute.sol";
import {Consent, Receipt, SignerGrant} from "../../src/types/Receipt.sol";
import {Market} from "../support/Market.sol";

/// @title The files that TypeScript wrote, read by Solidity: the two cannot disagree
contract VectorsTest is Market {
    struct Model {
        ExecutionArbiter judge;
        bytes program;
        address pointer;
        bytes32 root;
    }

    struct Answer {
        bytes32 salt;
        bytes input;
        bytes output;
        bytes32 inputHash;
        bytes32 outputHash;
    }

    string private constant EIP712_FILE = "../packages/protocol/test/vectors/eip712.json";

    string private json;
    PaymentChannels private atVectorChannels;
    ModelRegistry private atVectorRegistry;
    DisputeManager private atVectorDisputes;

    function setUp() public {
        vm.chainId(31_337);
        deployMarket();
        json = vm.readFile(EIP712_FILE);
        eq(vm.parseJsonUint(json, ".chainId"), block.chainid, "chain id of the vectors");
        // The code of the real contracts, at the addresses that the vectors name. EIP712 then builds the domain anew for that address.
        atVectorChannels = PaymentChannels(_place(address(channels), ".contracts.PaymentChannels"));
        atVectorRegistry = ModelRegistry(_place(address(registry), ".contracts.ModelRegistry"));
        atVectorDisputes = DisputeManager(_place(address(disputes), ".contracts.DisputeManager"));
    }

    function test_digestsOfChannelMessages() public view {
        string memory v = ".values.voucher";
        eq(atVectorChannels.voucherDigest(_b32(v, ".channelId"), _u128(v, ".maxClaimableAmount")), _digest("voucher"), "voucher");
        v = ".values.session";
        eq(
            atVectorChannels.sessionDigest(_b32(v, ".channelId"), _b32(v, ".keyHash"), _u128(v, ".maxUnpaid"), _u64(v, ".notAfter")),
            _digest("session"),
            "session"
        );
        v = ".values.openAuthorization";
        eq(
            atVectorChannels.openAuthorizationDigest(_b32(v, ".channelId"), _u128(v, ".amount"), _b32(v, ".nonce"), _u64(v, ".deadline")),
            _digest("openAuthorization"),
            "openAuthorization"
        );
        v = ".values.closeAuthorization";
        eq(
            atVectorChannels.closeAuthorizationDigest(_b32(v, ".channelId"), _u128(v, ".finalAmount"), _u64(v, ".deadline")),
            _digest("closeAuthorization"),
            "closeAuthorization"
        );
    }

    function test_digestOfReceipt() public view {
        string memory v = ".values.receipt";
        Receipt memory r;
        r.versionId = _b32(v, ".versionId");
        r.requestId = _b32(v, ".requestId");
        r.channelId = _b32(v, ".channelId");
        r.inputHash = _b32(v, ".inputHash");
        r.outputHash = _b32(v, ".outputHash");
        r.paramsHash = _b32(v, ".paramsHash");
        r.inputUnits = _u64(v, ".inputUnits");
        r.outputUnits = _u64(v, ".outputUnits");
        r.price = _u128(v, ".price");
        r.cumulative = _u128(v, ".cumulative");
        r.beneficiary = vm.parseJsonAddress(json, ".values.receipt.beneficiary");
        r.issuedAt = _u64(v, ".issuedAt");
        r.outcome = uint8(_u64(v, ".outcome"));
        eq(atVectorRegistry.receiptDigest(r), _digest("receipt"), "receipt");
    }

    function test_digestsOfGrantAndConsent() public view {
        string memory v = ".values.grant";
        SignerGrant memory grant =
            SignerGrant(_b32(v, ".versionId"), vm.parseJsonAddress(json, ".values.grant.signer"), _u64(v, ".notAfter"));
        eq(atVectorRegistry.grantDigest(grant), _digest("grant"), "grant");
        v = ".values.consent";
        Consent memory consent = Consent(_b32(v, ".receipt"), vm.parseJsonAddress(json, ".values.consent.challenger"), _u64(v, ".notAfter"));
        eq(atVectorDisputes.consentDigest(consent), _digest("consent"), "consent");
    }

    function test_signature() public view {
        bytes memory signature = vm.parseJsonBytes(json, ".signed.voucherSignature");
        eq(this.recover(_digest("voucher"), signature), vm.parseJsonAddress(json, ".signed.address"), "signer");
        eq(compact(uint256(vm.parseJsonBytes32(json, ".signed.key")), _digest("voucher")), signature, "deterministic signature");
    }

    function test_ids() public view {
        address owner = vm.parseJsonAddress(json, ".ids.owner");
        bytes32 modelId = registry.modelIdOf(owner, vm.parseJsonString(json, ".ids.slug"));
        eq(modelId, vm.parseJsonBytes32(json, ".ids.modelId"), "modelId");
        eq(registry.versionIdOf(modelId, 1), vm.parseJsonBytes32(json, ".ids.versionId"), "versionId");
        string memory d = ".ids.descriptor";
        ChannelDescriptor memory descriptor = ChannelDescriptor({
            payer: vm.parseJsonAddress(json, ".ids.descriptor.payer"),
            payee: vm.parseJsonAddress(json, ".ids.descriptor.payee"),
            token: vm.parseJsonAddress(json, ".ids.descriptor.token"),
            signerKind: uint8(_u64(d, ".signerKind")),
            signer: vm.parseJsonAddress(json, ".ids.descriptor.signer"),
            withdrawDelay: uint32(_u64(d, ".withdrawDelay")),
            salt: _b32(d, ".salt")
        });
        eq(channels.channelIdOf(descriptor), vm.parseJsonBytes32(json, ".ids.channelId"), "channelId");
    }

    function test_receiptTree() public view {
        bytes32[] memory digests = vm.parseJsonBytes32Array(json, ".receiptTree.digests");
        bytes32 root = vm.parseJsonBytes32(json, ".receiptTree.root");
        bytes32[] memory leaves = new bytes32[](MerkleTree.powerOfTwo(digests.length));
        for (uint64 i = 0; i < digests.length; ++i) {
            leaves[i] = MerkleTree.receiptLeaf(i, digests[i]);
        }
        eq(MerkleTree.root(leaves), root, "root");
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, ".receiptTree.proof3");
        yes(this.verify(root, digests.length, 3, MerkleTree.receiptLeaf(3, digests[3]), proof), "proof of leaf 3");
    }

    function test_integerModel() public {
        _checkModel("./test/vectors/integer.json", 20);
    }

    function test_integerModelWithOddRows() public {
        _checkModel("./test/vectors/integer-tiny.json", 1);
    }

    function test_integerModelAtItsLimits() public {
        _checkModel("./test/vectors/integer-edge.json", 1);
    }

    /// Every case is recomputed; the right answer is rejected as an accusation, and the same answer with one bit flipped is upheld.
    function _checkModel(string memory path, uint256 atLeast) private {
        string memory file = vm.readFile(path);
        Model memory m;
        m.judge = new ExecutionArbiter();
        m.program = vm.parseJsonBytes(file, ".program");
        m.pointer = new DataStore().store(vm.parseJsonBytes(file, ".weights"));
        m.root = vm.parseJsonBytes32(file, ".verificationRoot");
        uint256 count = 0;
        for (; vm.keyExistsJson(file, _case(count, "")); ++count) {
            Answer memory a;
            a.salt = vm.parseJsonBytes32(file, _case(count, ".salt"));
            a.input = vm.parseJsonBytes(file, _case(count, ".input"));
            a.output = vm.parseJsonBytes(file, _case(count, ".output"));
            a.inputHash = vm.parseJsonBytes32(file, _case(count, ".inputHash"));
            a.outputHash = vm.parseJsonBytes32(file, _case(count, ".outputHash"));
            _checkAnswer(m, a);
            _checkRuling(m, a, count);
        }
        yes(count >= atLeast, "enough cases");
    }

    function _checkAnswer(Model memory m, Answer memory a) private view {
        (bytes32 root, bytes32 inputHash, bytes32 outputHash, bytes memory output) = m.judge.run(m.program, m.pointer, a.salt, a.input);
        eq(root, m.root, "verificationRoot");
        eq(inputHash, a.inputHash, "inputHash");
        eq(output, a.output, "output");
        eq(outputHash, a.outputHash, "outputHash");
    }

    function _checkRuling(Model memory m, Answer memory a, uint256 bit) private view {
        Receipt memory r;
        r.inputHash = a.inputHash;
        r.outputHash = a.outputHash;
        bytes memory evidence = abi.encode(m.program, m.pointer, a.salt, a.input);
        yes(m.judge.open(0, r, m.root, evidence) == Ruling.Rejected, "a right answer is not upheld");
        r.outputHash = bytes32(uint256(r.outputHash) ^ (1 << (bit % 256)));
        yes(m.judge.open(0, r, m.root, evidence) == Ruling.Upheld, "a wrong answer is upheld");
    }

    function recover(bytes32 digest, bytes calldata signature) external pure returns (address) {
        return Signatures.recover(digest, signature);
    }

    function verify(bytes32 root, uint256 count, uint256 index, bytes32 leaf, bytes32[] calldata proof) external pure returns (bool) {
        return MerkleTree.verify(root, count, index, leaf, proof);
    }

    function _place(address from, string memory key) private returns (address to) {
        to = vm.parseJsonAddress(json, key);
        vm.etch(to, from.code);
    }

    function _case(uint256 i, string memory member) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]", member);
    }

    function _digest(string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(".digests.", name));
    }

    function _b32(string memory path, string memory member) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(path, member));
    }

    function _u128(string memory path, string memory member) private view returns (uint128) {
        return uint128(vm.parseJsonUint(json, string.concat(path, member)));
    }

    function _u64(string memory path, string memory member) private view returns (uint64) {
        return uint64(vm.parseJsonUint(json, string.concat(path, member)));
    }
}
