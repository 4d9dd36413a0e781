// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Six-decimals dollar for development chains
/// @notice Anyone may mint. Never deployed by the production profile.
contract TestDollar is ERC20, ERC20Permit {
    constructor() ERC20("Cupel Test Dollar", "TUSD") ERC20Permit("Cupel Test Dollar") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
