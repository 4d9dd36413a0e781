// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {CupelToken} from "../../src/CupelToken.sol";
import {DataStore} from "../../src/DataStore.sol";
import {TestDollar} from "../../src/dev/TestDollar.sol";
import {IDataStore} from "../../src/interfaces/IDataStore.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {Signatures} from "../../src/libraries/Signatures.sol";
import {TestBase} from "../support/TestBase.sol";

contract SignaturesTest is TestBase {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function testFuzz_recover(uint256 key, bytes32 digest) public view {
        key = bound(key, 1, ORDER - 1);
        eq(this.recover(digest, compact(key, digest)), vm.addr(key), "signer");
    }

    function test_recover_refusesOtherLengths() public {
        bytes memory signature = compact(1, "d");
        vm.expectRevert(abi.encodeWithSelector(Signatures.SignatureLength.selector, 65));
        this.recover("d", bytes.concat(signature, hex"1b"));
        vm.expectRevert(abi.encodeWithSelector(Signatures.SignatureLength.selector, 0));
        this.recover("d", "");
    }

    function test_recover_refusesHighS() public {
        bytes32 low = bytes32(uint256(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0));
        bytes32 high = bytes32(uint256(low) + 1);
        vm.expectRevert(abi.encodeWithSelector(Signatures.SignatureHighS.selector, high));
        this.recover("d", abi.encodePacked(bytes32(uint256(1)), high));
        this.recover("d", abi.encodePacked(bytes32(uint256(1)), low));
    }

    function test_recover_refusesTheZeroAddress() public {
        vm.expectRevert(Signatures.SignatureInvalid.selector);
        this.recover("d", new bytes(64));
        vm.expectRevert(Signatures.SignatureInvalid.selector);
        this.recover("d", abi.encodePacked(bytes32(ORDER), bytes32(uint256(1))));
    }

    function recover(bytes32 digest, bytes calldata signature) external pure returns (address) {
        return Signatures.recover(digest, signature);
    }
}

contract MerkleTreeTest is TestBase {
    function test_oneLeafIsItsOwnRoot() public view {
        bytes32[] memory leaves = new bytes32[](1);
        leaves[0] = "leaf";
        eq(MerkleTree.root(leaves), "leaf", "root");
        yes(this.verify("leaf", 1, 0, "leaf", new bytes32[](0)), "verify");
    }

    function test_pairsAreNotSorted() public pure {
        bytes32[] memory leaves = new bytes32[](2);
        (leaves[0], leaves[1]) = (bytes32("b"), bytes32("a"));
        eq(MerkleTree.root(leaves), keccak256(abi.encode(bytes32("b"), bytes32("a"))), "root");
    }

    function test_height() public pure {
        uint8[7] memory counts = [1, 2, 3, 4, 5, 8, 9];
        uint8[7] memory heights = [0, 1, 2, 2, 3, 3, 4];
        for (uint256 i = 0; i < 7; ++i) {
            eq(MerkleTree.height(counts[i]), heights[i], "height");
        }
    }

    function verify(bytes32 root, uint256 count, uint256 index, bytes32 leaf, bytes32[] calldata proof) external pure returns (bool) {
        return MerkleTree.verify(root, count, index, leaf, proof);
    }
}

contract DataStoreTest is TestBase {
    DataStore private store = new DataStore();

    function testFuzz_store(bytes calldata data) public {
        vm.assume(data.length > 0 && data.length <= 24_575);
        address expected = store.addressOf(data);
        expectEvent(address(store));
        emit IDataStore.Stored(expected, keccak256(data), data.length);
        eq(store.store(data), expected, "pointer");
        eq(expected.code, bytes.concat(hex"00", data), "code");
        // Stored already: found, not made again.
        vm.recordLogs();
        eq(store.store(data), expected, "again");
        eq(vm.getRecordedLogs().length, 0, "events");
        (bool ran, bytes memory result) = expected.call("x");
        yes(ran && result.length == 0, "a data contract stops at once");
    }

    function test_store_bounds() public {
        vm.expectRevert(IDataStore.EmptyData.selector);
        store.store("");
        bytes memory long = new bytes(24_576);
        vm.expectRevert(abi.encodeWithSelector(IDataStore.DataTooLong.selector, 24_576, 24_575));
        store.store(long);
        eq(store.store(new bytes(24_575)).code.length, 24_576, "the longest");
    }
}

contract TokensTest is TestBase {
    function test_cupelToken_capIsForEver() public {
        CupelToken token = new CupelToken(100, address(this), address(this), 60);
        token.burn(50);
        eq(token.totalSupply(), 10, "supply");
        // Burned tokens do not come back.
        vm.expectRevert(abi.encodeWithSelector(CupelToken.CapExceeded.selector, 101, 100));
        token.mint(address(this), 41);
        token.mint(address(this), 40);
        eq(token.totalMinted(), 100, "minted");
        vm.expectRevert(abi.encodeWithSelector(CupelToken.NotMinter.selector, address(7)));
        vm.prank(address(7));
        token.mint(address(7), 0);
    }

    function test_cupelToken_initialSupplyObeysTheCap() public {
        vm.expectRevert(abi.encodeWithSelector(CupelToken.CapExceeded.selector, 101, 100));
        new CupelToken(100, address(0), address(this), 101);
    }

    function test_cupelToken_votesByTimestamp() public {
        CupelToken token = new CupelToken(100, address(0), address(this), 60);
        eq(bytes(token.CLOCK_MODE()), "mode=timestamp", "CLOCK_MODE");
        eq(token.clock(), block.timestamp, "clock");
        token.delegate(address(this));
        eq(token.getVotes(address(this)), 60, "votes");
        eq(token.decimals(), 18, "decimals");
        eq(token.nonces(address(this)), 0, "nonces");
    }

    function test_testDollar() public {
        TestDollar dollar = new TestDollar();
        dollar.mint(address(7), 5);
        eq(dollar.balanceOf(address(7)), 5, "minted");
        eq(dollar.decimals(), 6, "decimals");
    }
}
