// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IDataStore} from "./interfaces/IDataStore.sol";

/// @title Data as contract code (see IDataStore)
contract DataStore is IDataStore {
    /// EIP-170 allows 24,576 bytes of code; the first is 0x00.
    uint256 private constant MAX_SIZE = 24_575;
    /// Returns what follows it: PUSH1 11, CODESIZE, SUB, DUP1, PUSH1 11, PUSH0, CODECOPY, PUSH0, RETURN. Then the 0x00 that stops every call.
    bytes private constant CREATION_CODE = hex"600b380380600b5f395ff300";

    function store(bytes calldata data) external returns (address pointer) {
        bytes memory code = _creationCode(data);
        pointer = _predict(keccak256(code));
        if (pointer.code.length != 0) return pointer;
        address created;
        assembly ("memory-safe") {
            created := create2(0, add(code, 32), mload(code), 0)
        }
        if (created != pointer) revert StoreFailed(pointer);
        emit Stored(pointer, keccak256(data), data.length);
    }

    function addressOf(bytes calldata data) external view returns (address) {
        return _predict(keccak256(_creationCode(data)));
    }

    function _creationCode(bytes calldata data) private pure returns (bytes memory) {
        if (data.length == 0) revert EmptyData();
        if (data.length > MAX_SIZE) revert DataTooLong(data.length, MAX_SIZE);
        return bytes.concat(CREATION_CODE, data);
    }

    function _predict(bytes32 codeHash) private view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(0), codeHash)))));
    }
}
