// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {IModelRegistry} from "../../src/interfaces/IModelRegistry.sol";
import {ExecutionArbiter} from "../../src/arbiters/ExecutionArbiter.sol";
import {Mode, Model, ModelStatus, Prices, Version, VersionTerms} from "../../src/types/Model.sol";
import {Market} from "../support/Market.sol";

contract ModelRegistryTest is Market {
    VersionTerms private terms = VersionTerms(keccak256("manifest"), keccak256("root"), Mode.IntegerExecution);
    Prices private prices = Prices(10, 20, 30);

    function setUp() public {
        deployMarket();
    }

    function test_constructor_refusesZero() public {
        vm.expectRevert(IModelRegistry.ZeroAddress.selector);
        new ModelRegistry(address(0), address(1), address(1));
        vm.expectRevert(IModelRegistry.ZeroAddress.selector);
        new ModelRegistry(address(1), address(0), address(1));
        vm.expectRevert(IModelRegistry.ZeroAddress.selector);
        new ModelRegistry(address(1), address(1), address(0));
    }

    function test_setProvider_remembersEveryPayout() public {
        expectEvent(address(registry));
        emit IModelRegistry.ProviderSet(owner, OPERATOR, PAYOUT);
        vm.startPrank(owner);
        registry.setProvider(OPERATOR, PAYOUT);
        registry.setProvider(address(0), STRANGER);
        eq(registry.provider(owner).payout, STRANGER, "payout");
        eq(registry.provider(owner).operator, address(0), "operator");
        yes(registry.isPayout(owner, PAYOUT) && registry.isPayout(owner, STRANGER), "both payouts count");
        yes(!registry.isPayout(owner, OPERATOR), "nobody else does");
        vm.expectRevert(IModelRegistry.ZeroAddress.selector);
        registry.setProvider(OPERATOR, address(0));
    }

    function test_register() public {
        address arbiter = _installArbiter();
        _setProvider();
        bytes32 modelId = keccak256(abi.encodePacked(owner, "honest/digits"));
        bytes32 versionId = keccak256(abi.encode(modelId, uint32(1)));
        expectEvent(address(registry));
        emit IModelRegistry.ModelRegistered(modelId, owner, "honest/digits");
        expectEvent(address(registry));
        emit IModelRegistry.VersionAdded(
            modelId, versionId, 1, terms.manifestHash, terms.verificationRoot, uint8(Mode.IntegerExecution), arbiter
        );
        expectEvent(address(registry));
        emit IModelRegistry.PricesSet(modelId, 10, 20, 30);
        expectEvent(address(registry));
        emit IModelRegistry.EndpointSet(modelId, "https://edge.example");
        expectEvent(address(registry));
        emit IModelRegistry.SpecializationsSet(modelId, tags("digits"));
        vm.roll(123);
        _register("honest/digits");

        Model memory m = registry.model(modelId);
        eq(m.owner, owner, "owner");
        eq(m.latestVersion, 1, "latestVersion");
        eq(m.registeredAt, 123, "registeredAt");
        eq(m.faults, 0, "faults");
        yes(m.status == ModelStatus.Active && registry.isActive(modelId), "active");
        Version memory v = registry.version(versionId);
        eq(v.modelId, modelId, "version.modelId");
        eq(v.manifestHash, terms.manifestHash, "manifestHash");
        eq(v.verificationRoot, terms.verificationRoot, "verificationRoot");
        eq(v.arbiter, arbiter, "arbiter");
        eq(registry.pricesOf(modelId).outputPerMillion, 20, "prices");
        eq(bytes(registry.endpointOf(modelId)), "https://edge.example", "endpoint");
        yes(registry.mayOperate(modelId, owner) && registry.mayOperate(modelId, OPERATOR), "owner and operator");
        yes(!registry.mayOperate(modelId, PAYOUT) && !registry.mayOperate(modelId, address(0)), "nobody else");
    }

    function test_register_byTheOwner() public {
        _setProvider();
        vm.prank(owner);
        registry.register(owner, "a", terms, prices, "https://e", new string[](0));
    }

    function test_register_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ProviderNotSet.selector, owner));
        _register("a");
        _setProvider();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotProvider.selector, owner, STRANGER));
        vm.prank(STRANGER);
        registry.register(owner, "a", terms, prices, "https://e", tags("x"));
        _register("a");
        bytes32 modelId = registry.modelIdOf(owner, "a");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyRegistered.selector, modelId));
        _register("a");
    }

    function test_register_boundsEveryLength() public {
        _setProvider();
        string memory long = string(new bytes(129));
        _expectLength("slug", 0, 128, "", "https://e", tags("x"));
        _expectLength("slug", 129, 128, long, "https://e", tags("x"));
        _expectLength("endpoint", 0, 512, "a", "", tags("x"));
        _expectLength("endpoint", 513, 512, "a", string(new bytes(513)), tags("x"));
        _expectLength("specializations", 17, 16, "a", "https://e", new string[](17));
        _expectLength("specialization", 0, 64, "a", "https://e", tags(""));
        _expectLength("specialization", 65, 64, "a", "https://e", tags(string(new bytes(65))));
    }

    function test_register_refusesEmptyTerms() public {
        _setProvider();
        terms.manifestHash = 0;
        vm.expectRevert(IModelRegistry.ZeroManifestHash.selector);
        _register("a");
        terms = VersionTerms(keccak256("manifest"), 0, Mode.ZeroKnowledge);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ZeroVerificationRoot.selector, Mode.ZeroKnowledge));
        _register("a");
        terms.mode = Mode.Replay;
        _register("a");
    }

    function test_addVersion_keepsOldOnes() public {
        bytes32 modelId = _registered();
        bytes32 first = registry.versionIdOf(modelId, 1);
        vm.prank(owner);
        bytes32 second = registry.addVersion(modelId, VersionTerms(keccak256("new"), 0, Mode.None));
        eq(second, registry.versionIdOf(modelId, 2), "versionId");
        eq(registry.model(modelId).latestVersion, 2, "latestVersion");
        eq(registry.version(second).manifestHash, keccak256("new"), "new");
        eq(registry.version(first).manifestHash, keccak256("manifest"), "old");
    }

    function test_setters() public {
        bytes32 modelId = _registered();
        vm.startPrank(OPERATOR);
        expectEvent(address(registry));
        emit IModelRegistry.PricesSet(modelId, 1, 2, 3);
        registry.setPrices(modelId, Prices(1, 2, 3));
        eq(registry.pricesOf(modelId).perRequest, 3, "prices");
        expectEvent(address(registry));
        emit IModelRegistry.EndpointSet(modelId, "https://new");
        registry.setEndpoint(modelId, "https://new");
        eq(bytes(registry.endpointOf(modelId)), "https://new", "endpoint");
        expectEvent(address(registry));
        emit IModelRegistry.SpecializationsSet(modelId, tags("code"));
        registry.setSpecializations(modelId, tags("code"));
    }

    function test_setters_onlyOwnerOrOperatorOfAnActiveModel() public {
        bytes32 modelId = _registered();
        _expectSetterRefusals(modelId, STRANGER, abi.encodeWithSelector(IModelRegistry.NotOwnerOrOperator.selector, modelId, STRANGER));
        bytes32 unknown = keccak256("unknown");
        _expectSetterRefusals(unknown, owner, abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, unknown));
        vm.prank(address(disputes));
        registry.suspend(modelId);
        _expectSetterRefusals(modelId, owner, abi.encodeWithSelector(IModelRegistry.NotActive.selector, modelId, ModelStatus.Suspended));
        vm.prank(owner);
        registry.retire(modelId);
        _expectSetterRefusals(modelId, owner, abi.encodeWithSelector(IModelRegistry.NotActive.selector, modelId, ModelStatus.Retired));
    }

    function test_retire_startsUnbonding() public {
        bytes32 modelId = _registered();
        stakeModel(modelId, 100, 10);
        expectEvent(address(registry));
        emit IModelRegistry.ModelRetired(modelId);
        vm.prank(OPERATOR);
        registry.retire(modelId);
        yes(!registry.isActive(modelId), "inactive at once");
        eq(vault.account(modelId).unbonding, 100, "unbonding");
        eq(vault.account(modelId).unbondEnd, block.timestamp + UNBONDING, "unbondEnd");
        vm.startPrank(OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyRetired.selector, modelId));
        registry.retire(modelId);
    }

    function test_retire_refusals() public {
        bytes32 modelId = _registered();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotOwnerOrOperator.selector, modelId, STRANGER));
        vm.prank(STRANGER);
        registry.retire(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, bytes32("x")));
        registry.retire("x");
    }

    function test_suspend() public {
        bytes32 modelId = _registered();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotDisputeManager.selector, ADMIN));
        vm.prank(ADMIN);
        registry.suspend(modelId);
        vm.startPrank(address(disputes));
        expectEvent(address(registry));
        emit IModelRegistry.ModelSuspended(modelId, 1);
        eq(registry.suspend(modelId), 1, "faults");
        eq(registry.suspend(modelId), 2, "faults");
        yes(registry.model(modelId).status == ModelStatus.Suspended, "suspended");
        vm.stopPrank();
        // The provider can still leave with what is left, and a later fault does not bring it back.
        vm.prank(owner);
        registry.retire(modelId);
        vm.prank(address(disputes));
        eq(registry.suspend(modelId), 3, "faults");
        yes(registry.model(modelId).status == ModelStatus.Retired, "retired is final");
    }

    function test_installArbiter() public {
        bytes32 before = registry.versionIdOf(_registered(), 1);
        address arbiter = _installArbiter();
        eq(registry.arbiterOf(Mode.IntegerExecution), arbiter, "arbiterOf");
        eq(registry.version(before).arbiter, address(0), "older versions keep none");
        vm.startPrank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ArbiterAlreadyInstalled.selector, Mode.IntegerExecution, arbiter));
        registry.installArbiter(Mode.IntegerExecution, address(this));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModeHasNoArbiter.selector, Mode.None));
        registry.installArbiter(Mode.None, arbiter);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAContract.selector, STRANGER));
        registry.installArbiter(Mode.Attested, STRANGER);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotAdmin.selector, owner));
        vm.prank(owner);
        registry.installArbiter(Mode.Attested, arbiter);
    }

    function _setProvider() private {
        vm.prank(owner);
        registry.setProvider(OPERATOR, PAYOUT);
    }

    function _register(string memory slug) private {
        vm.prank(OPERATOR);
        registry.register(owner, slug, terms, prices, "https://edge.example", tags("digits"));
    }

    function _registered() private returns (bytes32) {
        _setProvider();
        _register("honest/digits");
        return registry.modelIdOf(owner, "honest/digits");
    }

    function _installArbiter() private returns (address arbiter) {
        arbiter = address(new ExecutionArbiter());
        expectEvent(address(registry));
        emit IModelRegistry.ArbiterInstalled(uint8(Mode.IntegerExecution), arbiter);
        vm.prank(ADMIN);
        registry.installArbiter(Mode.IntegerExecution, arbiter);
    }

    function _expectLength(string memory field, uint256 length, uint256 max, string memory slug, string memory url, string[] memory list)
        private
    {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.BadLength.selector, field, length, max));
        vm.prank(OPERATOR);
        registry.register(owner, slug, terms, prices, url, list);
    }

    function _expectSetterRefusals(bytes32 modelId, address sender, bytes memory reason) private {
        vm.startPrank(sender);
        vm.expectRevert(reason);
        registry.setPrices(modelId, prices);
        vm.expectRevert(reason);
        registry.setEndpoint(modelId, "https://x");
        vm.expectRevert(reason);
        registry.setSpecializations(modelId, tags("x"));
        vm.expectRevert(reason);
        registry.addVersion(modelId, terms);
        vm.stopPrank();
    }
}
