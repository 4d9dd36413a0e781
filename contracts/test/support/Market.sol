// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ClaimManager} from "../../src/ClaimManager.sol";
import {CupelToken} from "../../src/CupelToken.sol";
import {DisputeManager} from "../../src/DisputeManager.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {StakeVault} from "../../src/StakeVault.sol";
import {TestDollar} from "../../src/dev/TestDollar.sol";
import {ChannelDescriptor} from "../../src/types/Channel.sol";
import {Mode, Prices, VersionTerms} from "../../src/types/Model.sol";
import {TestBase} from "./TestBase.sol";

/// @title A whole market, deployed as script/deploy.ts does, and the parties in it
abstract contract Market is TestBase {
    uint64 internal constant EVIDENCE = 7 days;
    uint64 internal constant WINDOW = 1 hours;
    uint64 internal constant MAX_GAME = 1 hours;
    uint64 internal constant MARGIN = 1 days;
    uint64 internal constant UNBONDING = EVIDENCE + WINDOW + MAX_GAME + MARGIN;
    uint96 internal constant LOCK_RATE = 1e12;
    uint96 internal constant FAULT_RATE = 2e12;
    uint16 internal constant FIRST_FAULT_BPS = 6_000;
    uint128 internal constant MIN_STAKE = 100e18;
    uint128 internal constant MIN_BOND = 10e6;
    uint128 internal constant CHALLENGER_CAP = 50e18;
    uint128 internal constant BENEFICIARY_CAP = 80e18;

    uint256 internal constant OWNER_KEY = 0xA11CE;
    uint256 internal constant EDGE_KEY = 0xED6E;
    uint256 internal constant PAYER_KEY = 0xBA7E;
    uint256 internal constant VOUCHER_KEY = 0x5E55;
    uint256 internal constant VICTIM_KEY = 0xF00D;

    address internal immutable owner = vm.addr(OWNER_KEY);
    address internal immutable edge = vm.addr(EDGE_KEY);
    address internal immutable payer = vm.addr(PAYER_KEY);
    address internal immutable voucherSigner = vm.addr(VOUCHER_KEY);
    address internal immutable victim = vm.addr(VICTIM_KEY);
    address internal constant ADMIN = address(0xAD);
    address internal constant OPERATOR = address(0x0b);
    address internal constant PAYOUT = address(0xbeef);
    address internal constant FEE_SINK = address(0xfee);
    address internal constant STRANGER = address(0x57);

    CupelToken internal stakeToken;
    TestDollar internal dollar;
    StakeVault internal vault;
    ModelRegistry internal registry;
    PaymentChannels internal channels;
    ClaimManager internal claims;
    DisputeManager internal disputes;

    function deployMarket() internal {
        vm.warp(1_800_000_000);
        stakeToken = new CupelToken(1_000_000_000e18, address(0), address(this), 1_000_000e18);
        dollar = new TestDollar();
        uint64 nonce = vm.getNonce(address(this));
        address vaultAddress = vm.computeCreateAddress(address(this), nonce);
        address registryAddress = vm.computeCreateAddress(address(this), nonce + 1);
        address claimsAddress = vm.computeCreateAddress(address(this), nonce + 2);
        address disputesAddress = vm.computeCreateAddress(address(this), nonce + 3);
        vault = new StakeVault(vaultSettings(registryAddress, claimsAddress, disputesAddress));
        registry = new ModelRegistry(ADMIN, vaultAddress, disputesAddress);
        claims = new ClaimManager(registryAddress, vaultAddress, WINDOW, LOCK_RATE);
        disputes = new DisputeManager(disputeSettings());
        channels = new PaymentChannels(1 hours, 30 days, ADMIN, FEE_SINK, 500);
    }

    function vaultSettings(address registry_, address claims_, address slasher) internal view returns (StakeVault.Settings memory) {
        return StakeVault.Settings({
            stakeToken: address(stakeToken),
            paymentToken: address(dollar),
            registry: registry_,
            claimManager: claims_,
            slasher: slasher,
            unbondingPeriod: UNBONDING,
            minStake: MIN_STAKE,
            minBond: MIN_BOND,
            challengerCap: CHALLENGER_CAP,
            beneficiaryCap: BENEFICIARY_CAP
        });
    }

    function disputeSettings() internal view returns (DisputeManager.Settings memory) {
        return DisputeManager.Settings({
            registry: address(registry),
            vault: address(vault),
            claimManager: address(claims),
            evidencePeriod: EVIDENCE,
            maxGame: MAX_GAME,
            margin: MARGIN,
            firstFaultBps: FIRST_FAULT_BPS,
            faultRate: FAULT_RATE
        });
    }

    /// The owner names its operator and payout and registers a model in the given mode.
    function registerModel(string memory slug, Mode mode, bytes32 verificationRoot) internal returns (bytes32 modelId, bytes32 versionId) {
        vm.prank(owner);
        registry.setProvider(OPERATOR, PAYOUT);
        vm.prank(OPERATOR);
        return registry.register(
            owner,
            slug,
            VersionTerms(keccak256("manifest"), verificationRoot, mode),
            Prices(1, 2, 3),
            "https://edge.example",
            tags("digits")
        );
    }

    function stakeModel(bytes32 modelId, uint256 stake, uint256 bond) internal {
        dollar.mint(address(this), bond);
        stakeToken.approve(address(vault), stake);
        dollar.approve(address(vault), bond);
        vault.deposit(modelId, stake, bond);
    }

    function descriptorOf(bytes32 salt) internal view returns (ChannelDescriptor memory) {
        return ChannelDescriptor({
            payer: payer, payee: PAYOUT, token: address(dollar), signerKind: 0, signer: voucherSigner, withdrawDelay: 1 days, salt: salt
        });
    }

    function tags(string memory tag) internal pure returns (string[] memory list) {
        list = new string[](1);
        list[0] = tag;
    }
}
