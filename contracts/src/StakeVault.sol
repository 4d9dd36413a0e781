// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {TokenTransfers} from "./libraries/TokenTransfers.sol";
import {StakeAccount} from "./types/Stake.sol";

/// @title Stake and bond behind each model (see IStakeVault)
contract StakeVault is IStakeVault, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice Who is who and how long an exit takes; all of it for good.
    struct Settings {
        address stakeToken;
        address paymentToken;
        address registry;
        address claimManager;
        address slasher;
        uint64 unbondingPeriod;
        uint128 minStake;
        uint128 minBond;
        uint128 challengerCap;
        uint128 beneficiaryCap;
    }

    uint256 private constant CHALLENGER_BPS = 1_000;
    uint256 private constant BENEFICIARY_BPS = 2_000;
    /// Most of the bond that one receipt may take.
    uint256 private constant REFUND_BPS = 1_250;
    uint256 private constant BPS = 10_000;

    address public immutable stakeToken;
    address public immutable paymentToken;
    address public immutable registry;
    address public immutable claimManager;
    address public immutable slasher;
    uint64 public immutable unbondingPeriod;
    uint128 public immutable minStake;
    uint128 public immutable minBond;
    uint128 public immutable challengerCap;
    uint128 public immutable beneficiaryCap;

    mapping(address token => mapping(address holder => uint256)) public credit;
    mapping(bytes32 modelId => StakeAccount) private accounts;

    constructor(Settings memory s) {
        if (s.stakeToken == address(0) || s.paymentToken == address(0) || s.registry == address(0)) revert ZeroAddress();
        if (s.claimManager == address(0) || s.slasher == address(0)) revert ZeroAddress();
        if (s.stakeToken == s.paymentToken) revert BadBounds("paymentToken");
        if (s.unbondingPeriod == 0) revert BadBounds("unbondingPeriod");
        stakeToken = s.stakeToken;
        paymentToken = s.paymentToken;
        registry = s.registry;
        claimManager = s.claimManager;
        slasher = s.slasher;
        unbondingPeriod = s.unbondingPeriod;
        minStake = s.minStake;
        minBond = s.minBond;
        challengerCap = s.challengerCap;
        beneficiaryCap = s.beneficiaryCap;
    }

    modifier onlyClaimManager() {
        if (msg.sender != claimManager) revert NotClaimManager(msg.sender);
        _;
    }

    modifier onlySlasher() {
        if (msg.sender != slasher) revert NotSlasher(msg.sender);
        _;
    }

    function deposit(bytes32 modelId, uint256 stakeAmount, uint256 bondAmount) external nonReentrant {
        if (stakeAmount == 0 && bondAmount == 0) revert ZeroAmount();
        if (!IModelRegistry(registry).isActive(modelId)) revert NotActive(modelId);
        StakeAccount storage a = accounts[modelId];
        a.free = _toUint128(a.free + stakeAmount);
        a.bond = _toUint128(a.bond + bondAmount);
        emit Deposited(modelId, msg.sender, stakeAmount, bondAmount);
        if (stakeAmount != 0) TokenTransfers.pull(stakeToken, msg.sender, stakeAmount);
        if (bondAmount != 0) TokenTransfers.pull(paymentToken, msg.sender, bondAmount);
    }

    function lock(bytes32 modelId, uint256 amount) external onlyClaimManager {
        StakeAccount storage a = accounts[modelId];
        if (amount > a.free) revert InsufficientFree(modelId, amount, a.free);
        a.free -= uint128(amount);
        a.locked += uint128(amount);
        emit Locked(modelId, amount);
    }

    function unlock(bytes32 modelId, uint256 amount) external onlyClaimManager {
        StakeAccount storage a = accounts[modelId];
        uint128 released = uint128(Math.min(amount, a.locked));
        a.locked -= released;
        if (a.unbondEnd == 0) a.free += released;
        else a.unbonding += released;
        emit Unlocked(modelId, released);
    }

    function startUnbond(bytes32 modelId) external {
        if (msg.sender != registry) revert NotRegistry(msg.sender);
        StakeAccount storage a = accounts[modelId];
        if (a.unbondEnd != 0) revert AlreadyUnbonding(modelId, a.unbondEnd);
        uint128 amount = a.free;
        uint64 endsAt = uint64(block.timestamp) + unbondingPeriod;
        a.free = 0;
        a.unbonding = amount;
        a.unbondEnd = endsAt;
        emit UnbondingStarted(modelId, amount, endsAt);
    }

    function withdraw(bytes32 modelId) external nonReentrant {
        StakeAccount storage a = accounts[modelId];
        if (a.unbondEnd == 0) revert NotUnbonding(modelId);
        if (block.timestamp < a.unbondEnd) revert StillUnbonding(modelId, a.unbondEnd, block.timestamp);
        (uint256 stake, uint256 bond) = (a.unbonding, a.bond);
        if (stake == 0 && bond == 0) revert NothingToWithdraw(modelId);
        a.unbonding = 0;
        a.bond = 0;
        address payout = IModelRegistry(registry).provider(IModelRegistry(registry).model(modelId).owner).payout;
        emit Withdrawn(modelId, payout, stake, bond);
        _deliver(stakeToken, payout, stake);
        _deliver(paymentToken, payout, bond);
    }

    function slash(bytes32 modelId, uint256 amount, address challenger, address beneficiary)
        external
        onlySlasher
        nonReentrant
        returns (uint256 taken)
    {
        taken = _take(accounts[modelId], amount);
        uint256 toChallenger = challenger == address(0) ? 0 : Math.min(taken * CHALLENGER_BPS / BPS, challengerCap);
        uint256 toBeneficiary = beneficiary == address(0) ? 0 : Math.min(taken * BENEFICIARY_BPS / BPS, beneficiaryCap);
        uint256 burned = taken - toChallenger - toBeneficiary;
        emit Slashed(modelId, taken, toChallenger, toBeneficiary, burned);
        _deliver(stakeToken, challenger, toChallenger);
        _deliver(stakeToken, beneficiary, toBeneficiary);
        if (burned != 0) ERC20Burnable(stakeToken).burn(burned);
    }

    function refundBond(bytes32 modelId, bytes32 receiptDigest, address beneficiary, uint256 amount)
        external
        onlySlasher
        nonReentrant
        returns (uint256 paid)
    {
        // A receipt without a beneficiary has no victim to pay, and must not make its own dispute revert.
        if (beneficiary == address(0)) return 0;
        StakeAccount storage a = accounts[modelId];
        // A provider can price a receipt to itself as it likes: one of them must not take the bond away from the victims.
        paid = Math.min(amount, Math.mulDiv(a.bond, REFUND_BPS, BPS, Math.Rounding.Ceil));
        if (paid == 0) return 0;
        a.bond -= uint128(paid);
        emit BondRefunded(modelId, receiptDigest, beneficiary, paid);
        _deliver(paymentToken, beneficiary, paid);
    }

    function collect(address token, address holder) external nonReentrant {
        uint256 amount = credit[token][holder];
        if (amount == 0) revert NothingToCollect(token, holder);
        credit[token][holder] = 0;
        emit Collected(token, holder, amount);
        IERC20(token).safeTransfer(holder, amount);
    }

    function account(bytes32 modelId) external view returns (StakeAccount memory) {
        return accounts[modelId];
    }

    function isStaked(bytes32 modelId) external view returns (bool) {
        StakeAccount storage a = accounts[modelId];
        return a.unbondEnd == 0 && uint256(a.free) + a.locked >= minStake && a.bond >= minBond;
    }

    /// Free stake goes first, then what is on its way out, locks last.
    function _take(StakeAccount storage a, uint256 amount) private returns (uint256 taken) {
        uint128 fromFree = uint128(Math.min(amount, a.free));
        uint128 fromUnbonding = uint128(Math.min(amount - fromFree, a.unbonding));
        uint128 fromLocked = uint128(Math.min(amount - fromFree - fromUnbonding, a.locked));
        a.free -= fromFree;
        a.unbonding -= fromUnbonding;
        a.locked -= fromLocked;
        return uint256(fromFree) + fromUnbonding + fromLocked;
    }

    /// Pays, or keeps the money as a credit where the token refuses the receiver: no receiver can block a verdict or an exit.
    function _deliver(address token, address to, uint256 amount) private {
        if (amount == 0 || IERC20(token).trySafeTransfer(to, amount)) return;
        credit[token][to] += amount;
        emit Credited(token, to, amount);
    }

    function _toUint128(uint256 amount) private pure returns (uint128) {
        if (amount > type(uint128).max) revert AmountTooLarge(amount, type(uint128).max);
        return uint128(amount);
    }
}
