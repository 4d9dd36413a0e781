// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Token that keeps one unit of each transfer
contract FeeToken is ERC20("Fee", "FEE") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(0xdead), 1);
    }
}

/// @title Token with a block list, and with a call into the receiver's enemy on each transfer
contract HostileToken is ERC20("Hostile", "HST") {
    mapping(address holder => bool) public blocked;
    address public target;
    bytes public payload;
    bool public reentered;
    bytes public reentryError;

    error Blocked(address holder);

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setBlocked(address holder, bool value) external {
        blocked[holder] = value;
    }

    /// The next transfer calls `to` with `data`.
    function arm(address to, bytes calldata data) external {
        target = to;
        payload = data;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (blocked[to]) revert Blocked(to);
        super._update(from, to, value);
        if (target == address(0)) return;
        address t = target;
        target = address(0);
        (reentered, reentryError) = t.call(payload);
    }
}
