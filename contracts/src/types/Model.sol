// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice How a wrong answer of a version is found and judged.
enum Mode {
    None,
    Replay,
    IntegerExecution,
    ZeroKnowledge,
    Attested
}

/// @notice Life of a model entry. Retired is final.
enum ModelStatus {
    None,
    Active,
    Retired,
    Suspended
}

/// @notice Base units of the payment token per 1,000,000 input units, per 1,000,000 output units, and per request.
struct Prices {
    uint128 inputPerMillion;
    uint128 outputPerMillion;
    uint128 perRequest;
}

/// @notice What a provider promises with one version; immutable once written.
/// @param manifestHash sha256 of the bytes of cupel-manifest.json
/// @param verificationRoot integer models: keccak256(programRoot, weightRoot, uint32 version); zero where the mode needs none
struct VersionTerms {
    bytes32 manifestHash;
    bytes32 verificationRoot;
    Mode mode;
}

/// @param registeredAt block number of the registration
/// @param faults upheld disputes so far
struct Model {
    address owner;
    uint32 latestVersion;
    uint64 registeredAt;
    ModelStatus status;
    uint32 faults;
}

/// @param arbiter judge of this version, as installed when it was created; zero: nobody can judge it on chain
struct Version {
    bytes32 modelId;
    bytes32 manifestHash;
    bytes32 verificationRoot;
    Mode mode;
    address arbiter;
}

/// @param operator hot key: registers, prices, posts claims, retires; never touches stake
/// @param payout the only address that stake, bond and channels of this provider pay to
struct Provider {
    address operator;
    address payout;
}
