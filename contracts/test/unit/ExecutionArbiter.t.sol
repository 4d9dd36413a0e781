// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {DataStore} from "../../src/DataStore.sol";
import {ExecutionArbiter} from "../../src/arbiters/ExecutionArbiter.sol";
import {IExecutionArbiter} from "../../src/interfaces/IExecutionArbiter.sol";
import {IntegerModel} from "../../src/libraries/IntegerModel.sol";
import {IntegerProgram} from "../../src/libraries/IntegerProgram.sol";
import {Ruling} from "../../src/types/Dispute.sol";
import {Receipt} from "../../src/types/Receipt.sol";
import {TestBase} from "../support/TestBase.sol";
import {TinyModel} from "../support/TinyModel.sol";

contract ExecutionArbiterTest is TestBase {
    ExecutionArbiter private judge;
    DataStore private store;
    bytes private program;
    bytes private weights;
    address private pointer;
    bytes private input;

    function setUp() public {
        judge = new ExecutionArbiter();
        store = new DataStore();
        TinyModel.Layer[] memory layers = TinyModel.make("model", _sizes(5, 4, 3));
        program = TinyModel.program(layers);
        weights = TinyModel.weights(layers);
        pointer = store.store(weights);
        input = hex"01ff800005";
    }

    function testFuzz_equalsThePlainReading(bytes32 seed, uint8 a, uint8 b, uint8 c, bytes32 salt) public {
        uint32[] memory sizes = _sizes(uint32(bound(a, 1, 70)), uint32(bound(b, 1, 34)), uint32(bound(c, 1, 40)));
        TinyModel.Layer[] memory layers = TinyModel.make(seed, sizes);
        bytes memory x = new bytes(sizes[0]);
        for (uint256 i = 0; i < x.length; ++i) {
            x[i] = keccak256(abi.encode(salt, i))[0];
        }
        address data = store.store(TinyModel.weights(layers));
        (,,, bytes memory output) = judge.run(TinyModel.program(layers), data, salt, x);
        eq(output, TinyModel.run(layers, x), "output");
    }

    /// Every number at its end: the products reach 2^62 and both clamps are met.
    function test_extremes() public {
        for (uint256 i = 0; i < 64; ++i) {
            TinyModel.Layer[] memory layers = TinyModel.make("extreme", _sizes(300, 2, 1));
            for (uint256 n = 0; n < 2; ++n) {
                layers[n].mult = i & 1 == 0 ? type(int32).max : type(int32).min;
                layers[n].shift = i & 2 == 0 ? 62 : 1;
                layers[n].zeroPoint = i & 4 == 0 ? 0 : 255;
                for (uint256 k = 0; k < layers[n].weights.length; ++k) {
                    layers[n].weights[k] = i & 8 == 0 ? int8(127) : int8(-128);
                }
                for (uint256 j = 0; j < layers[n].biases.length; ++j) {
                    layers[n].biases[j] = i & 16 == 0 ? int32(2 ** 30) : -int32(2 ** 30);
                }
            }
            bytes memory x = new bytes(300);
            for (uint256 k = 0; k < 300 && i & 32 == 0; ++k) {
                x[k] = 0xff;
            }
            (,,, bytes memory output) = judge.run(TinyModel.program(layers), store.store(TinyModel.weights(layers)), 0, x);
            eq(output, TinyModel.run(layers, x), "output");
        }
    }

    function test_open_rulesOnTheAnswer() public view {
        Receipt memory r = _honest();
        yes(judge.open(0, r, _root(), _evidence()) == Ruling.Rejected, "a right answer");
        r.outputHash = keccak256("lie");
        yes(judge.open(0, r, _root(), _evidence()) == Ruling.Upheld, "a wrong answer");
    }

    function test_open_refusesEvidenceThatIsNotThisModel() public {
        Receipt memory r = _honest();
        bytes32 root = _root();
        bytes memory evidence = _evidence();
        vm.expectRevert(abi.encodeWithSelector(IExecutionArbiter.RootMismatch.selector, root, bytes32("other")));
        judge.open(0, r, "other", evidence);

        // One flipped weight byte is another model.
        bytes memory flipped = weights;
        flipped[40] ^= 0x01;
        evidence = abi.encode(program, store.store(flipped), bytes32("salt"), input);
        vm.expectRevert();
        judge.open(0, r, root, evidence);
    }

    function test_open_refusesEvidenceThatIsNotThisInput() public {
        Receipt memory r = _honest();
        bytes32 root = _root();
        bytes memory evidence = abi.encode(program, pointer, bytes32("other salt"), input);
        vm.expectRevert();
        judge.open(0, r, root, evidence);
        // The same words with a trailing zero more: same hash, another length.
        evidence = abi.encode(program, pointer, bytes32("salt"), bytes.concat(input, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(IExecutionArbiter.InputLength.selector, 6, 5));
        judge.open(0, r, root, evidence);
        bytes32 inputHash = r.inputHash;
        r.inputHash = "other";
        evidence = _evidence();
        vm.expectRevert(abi.encodeWithSelector(IExecutionArbiter.InputMismatch.selector, inputHash, bytes32("other")));
        judge.open(0, r, root, evidence);
    }

    function test_open_refusesBadWeightData() public {
        Receipt memory r = _honest();
        bytes32 root = _root();
        bytes memory evidence = abi.encode(program, address(0x99), bytes32("salt"), input);
        vm.expectRevert(abi.encodeWithSelector(IExecutionArbiter.NoWeightData.selector, address(0x99)));
        judge.open(0, r, root, evidence);
        // Code that could run is no data contract.
        evidence = abi.encode(program, address(judge), bytes32("salt"), input);
        vm.expectRevert(abi.encodeWithSelector(IExecutionArbiter.NoWeightData.selector, address(judge)));
        judge.open(0, r, root, evidence);
        evidence = abi.encode(program, store.store(bytes.concat(weights, hex"00")), bytes32("salt"), input);
        vm.expectRevert(abi.encodeWithSelector(IntegerModel.WeightLength.selector, weights.length + 1, weights.length));
        judge.open(0, r, root, evidence);
        evidence = abi.encode(bytes.concat(program, hex"00"), pointer, bytes32("salt"), input);
        vm.expectRevert(abi.encodeWithSelector(IntegerProgram.ProgramLength.selector, program.length + 1));
        judge.open(0, r, root, evidence);
    }

    /// Whoever registers a malformed program and signs an answer of it loses, whatever the answer is.
    function test_open_malformedProgramCountsAgainstTheProvider() public {
        uint8[18] memory offsets = [0, 4, 5, 6, 7, 8, 11, 15, 16, 17, 19, 24, 27, 35, 40, 47, 56, 79];
        for (uint256 i = 0; i < offsets.length; ++i) {
            bytes memory bad = program;
            bad[offsets[i]] = i == 10 ? bytes1(0x3f) : bytes1(uint8(bad[offsets[i]]) ^ 0x04);
            _expectMalformed(bad);
        }
    }

    function _expectMalformed(bytes memory bad) private {
        Receipt memory r = _honest();
        // A program whose rows cannot be cut from the weights has no root that anyone could compute.
        try this.rootOf(bad, weights) returns (bytes32 root) {
            yes(judge.open(0, r, root, abi.encode(bad, pointer, bytes32("salt"), input)) == Ruling.Upheld, "malformed");
            vm.expectRevert(IExecutionArbiter.MalformedProgram.selector);
            judge.run(bad, pointer, "salt", input);
        } catch (bytes memory reason) {
            eq(bytes32(bytes4(reason)), bytes32(IntegerModel.WeightLength.selector), "reason");
        }
    }

    function test_open_biasBeyondInt32CountsAgainstTheProvider() public {
        bytes memory bad = weights;
        bad[0] = 0x01;
        bytes32 root = this.rootOf(program, bad);
        address data = store.store(bad);
        Receipt memory r = _honest();
        yes(judge.open(0, r, root, abi.encode(program, data, bytes32("salt"), input)) == Ruling.Upheld, "bias");
        vm.expectRevert(IExecutionArbiter.MalformedWeights.selector);
        judge.run(program, data, "salt", input);
    }

    /// A 196-64-10 model, as in the demo, with cold storage of code: what a dispute costs beyond its calldata.
    function test_gasOfTheDigitsModel() public {
        TinyModel.Layer[] memory layers = TinyModel.make("digits", _sizes(196, 64, 10));
        bytes memory p = TinyModel.program(layers);
        address data = store.store(TinyModel.weights(layers));
        bytes memory x = new bytes(196);
        uint256 before = gasleft();
        judge.run(p, data, 0, x);
        uint256 used = before - gasleft();
        yes(used < 225_000, string.concat("gas below 225,000, was ", vm.toString(used)));
    }

    function rootOf(bytes memory p, bytes memory w) external pure returns (bytes32) {
        return IntegerModel.verificationRoot(p, w);
    }

    function _honest() private view returns (Receipt memory r) {
        (, r.inputHash, r.outputHash,) = judge.run(program, pointer, "salt", input);
    }

    function _root() private view returns (bytes32 root) {
        (root,,,) = judge.run(program, pointer, "salt", input);
    }

    function _evidence() private view returns (bytes memory) {
        return abi.encode(program, pointer, bytes32("salt"), input);
    }

    function _sizes(uint32 a, uint32 b, uint32 c) private pure returns (uint32[] memory sizes) {
        sizes = new uint32[](3);
        (sizes[0], sizes[1], sizes[2]) = (a, b, c);
    }
}
