// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title The stake token
/// @notice 18 decimals, permit (ERC-2612), votes on the timestamp clock (ERC-6372), burnable. What was ever minted never passes the cap: burning is for good.
contract CupelToken is ERC20, ERC20Permit, ERC20Votes, ERC20Burnable {
    /// @notice The only address that may mint; zero: nobody.
    address public immutable minter;
    uint256 public immutable cap;
    uint256 public totalMinted;

    error NotMinter(address caller);
    error CapExceeded(uint256 minted, uint256 cap);

    constructor(uint256 maxSupply, address mintingAuthority, address holder, uint256 initialSupply)
        ERC20("Cupel", "CPL")
        ERC20Permit("Cupel")
    {
        cap = maxSupply;
        minter = mintingAuthority;
        _mintWithinCap(holder, initialSupply);
    }

    function mint(address to, uint256 amount) external {
        if (msg.sender != minter) revert NotMinter(msg.sender);
        _mintWithinCap(to, amount);
    }

    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _mintWithinCap(address to, uint256 amount) private {
        uint256 minted = totalMinted + amount;
        if (minted > cap) revert CapExceeded(minted, cap);
        totalMinted = minted;
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
