// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {StakeAccount} from "../types/Stake.sol";

/// @title Stake and bond behind each model
/// @notice Stake account = modelId. The only slasher is an immutable address; no role can slash, move a lock or stop a withdrawal.
interface IStakeVault {
    event Deposited(bytes32 indexed modelId, address indexed from, uint256 stake, uint256 bond);
    event Locked(bytes32 indexed modelId, uint256 amount);
    event Unlocked(bytes32 indexed modelId, uint256 amount);
    event UnbondingStarted(bytes32 indexed modelId, uint256 amount, uint64 endsAt);
    event Withdrawn(bytes32 indexed modelId, address payout, uint256 stake, uint256 bond);
    event Slashed(bytes32 indexed modelId, uint256 total, uint256 toChallenger, uint256 toBeneficiary, uint256 burned);
    event BondRefunded(bytes32 indexed modelId, bytes32 indexed receiptDigest, address beneficiary, uint256 amount);
    /// @notice A payment could not be delivered (a token refused the receiver) and waits for `collect`.
    event Credited(address indexed token, address indexed account, uint256 amount);
    event Collected(address indexed token, address indexed account, uint256 amount);

    error ZeroAddress();
    error BadBounds(string field);
    error ZeroAmount();
    error AmountTooLarge(uint256 amount, uint256 max);
    error NotActive(bytes32 modelId);
    error NotClaimManager(address caller);
    error NotRegistry(address caller);
    error NotSlasher(address caller);
    error AlreadyUnbonding(bytes32 modelId, uint64 unbondEnd);
    error InsufficientFree(bytes32 modelId, uint256 wanted, uint256 free);
    error NotUnbonding(bytes32 modelId);
    error StillUnbonding(bytes32 modelId, uint64 unbondEnd, uint256 timestamp);
    error NothingToWithdraw(bytes32 modelId);
    error NothingToCollect(address token, address holder);

    /// @notice Pulls stake and bond from the sender for an active model. Either amount may be zero, not both. It goes out to the provider's payout only.
    function deposit(bytes32 modelId, uint256 stakeAmount, uint256 bondAmount) external;

    /// @notice Moves free stake behind a claim. Only the ClaimManager.
    function lock(bytes32 modelId, uint256 amount) external;

    /// @notice Gives a lock back, or what a slash has left of it; never reverts for lack of stake. Only the ClaimManager.
    function unlock(bytes32 modelId, uint256 amount) external;

    /// @notice Starts the exit of a retired model. Only the registry.
    function startUnbond(bytes32 modelId) external;

    /// @notice Pays unbonded stake and the bond to the provider's payout. Anyone, once the exit has ended; again when more was unlocked.
    function withdraw(bytes32 modelId) external;

    /// @notice Takes up to `amount` of stake (free, then unbonding, then locked) and splits it: challenger, beneficiary, burn. Only the slasher; never reverts at zero.
    /// @return taken what there was to take
    function slash(bytes32 modelId, uint256 amount, address challenger, address beneficiary) external returns (uint256 taken);

    /// @notice Pays a victim from the bond, at most an eighth (rounded up) of what is left of it. Only the slasher; never reverts at zero.
    /// @return paid what there was to pay
    function refundBond(bytes32 modelId, bytes32 receiptDigest, address beneficiary, uint256 amount) external returns (uint256 paid);

    /// @notice Pays out what could not be delivered to `holder` before. Anyone.
    function collect(address token, address holder) external;

    function account(bytes32 modelId) external view returns (StakeAccount memory);

    /// @notice Whether stake (free and locked) and bond reach the minimum and no exit has started.
    function isStaked(bytes32 modelId) external view returns (bool);

    function credit(address token, address holder) external view returns (uint256);

    function stakeToken() external view returns (address);

    function paymentToken() external view returns (address);

    function slasher() external view returns (address);

    function claimManager() external view returns (address);

    function registry() external view returns (address);

    /// @notice Seconds from retirement to withdrawal.
    function unbondingPeriod() external view returns (uint64);

    /// @notice Most stake that one slash gives a challenger.
    function challengerCap() external view returns (uint128);

    /// @notice Most stake that one slash gives a beneficiary.
    function beneficiaryCap() external view returns (uint128);

    function minStake() external view returns (uint128);

    function minBond() external view returns (uint128);
}
