// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice Stake and bond of one model.
/// @param free stake that can still be locked behind claims
/// @param locked stake behind open claims
/// @param unbonding stake on its way out; can be slashed until it is withdrawn
/// @param unbondEnd unix seconds from when unbonding stake and bond can be withdrawn; zero before the exit starts
/// @param bond payment token that refunds victims
struct StakeAccount {
    uint128 free;
    uint128 locked;
    uint128 unbonding;
    uint64 unbondEnd;
    uint128 bond;
}
