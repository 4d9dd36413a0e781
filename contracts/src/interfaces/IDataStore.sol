// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Data as contract code
/// @notice A data contract's code is 0x00 followed by the data, so it can never run. Addresses follow from the data alone (CREATE2, salt 0).
interface IDataStore {
    event Stored(address indexed pointer, bytes32 dataHash, uint256 size);

    error EmptyData();
    error DataTooLong(uint256 length, uint256 max);
    error StoreFailed(address expected);

    /// @notice Stores data, or finds it where it already is.
    /// @param data 1 to 24,575 bytes
    function store(bytes calldata data) external returns (address pointer);

    /// @notice Where `data` is, or would be.
    function addressOf(bytes calldata data) external view returns (address);
}
