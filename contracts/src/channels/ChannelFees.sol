// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPaymentChannels} from "../interfaces/IPaymentChannels.sol";

/// @title Bounded protocol fee, zero until the admin sets it
/// @notice Fees wait here and are pulled to the sink, so that a sink which refuses them blocks no redeem.
abstract contract ChannelFees is IPaymentChannels, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint16 private constant HIGHEST_FEE_BPS = 1_000;

    address public immutable admin;
    address public immutable feeSink;
    uint16 public immutable maxFeeBps;
    uint16 public feeBps;
    mapping(address token => uint256) public fees;

    constructor(address feeAdmin, address sink, uint16 feeCapBps) {
        if (feeAdmin == address(0)) revert ZeroAddress("admin");
        if (sink == address(0)) revert ZeroAddress("feeSink");
        if (feeCapBps > HIGHEST_FEE_BPS) revert BadBounds("maxFeeBps");
        admin = feeAdmin;
        feeSink = sink;
        maxFeeBps = feeCapBps;
    }

    function setFee(uint16 bps) external {
        if (msg.sender != admin) revert NotAdmin(msg.sender);
        if (bps > maxFeeBps) revert FeeAboveMax(bps, maxFeeBps);
        feeBps = bps;
        emit FeeSet(bps);
    }

    function collectFees(address token) external nonReentrant {
        uint256 amount = fees[token];
        if (amount == 0) revert NothingToCollect(token);
        fees[token] = 0;
        emit FeesCollected(token, amount);
        IERC20(token).safeTransfer(feeSink, amount);
    }

    /// Books the fee on `gross` and says what is left for the payee. Rounded in the payee's favour.
    function _takeFee(address token, uint256 gross) internal returns (uint256 net) {
        uint256 fee = gross * feeBps / 10_000;
        if (fee != 0) fees[token] += fee;
        return gross - fee;
    }
}
