// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RollupChain} from "./RollupChain.sol";

/// @title Attached
/// @notice A contract that stands beside a RollupChain and has no say in it.
abstract contract Attached {
    /// @notice Where claims are posted and become final.
    RollupChain public immutable CHAIN;

    constructor(RollupChain chain) {
        CHAIN = chain;
    }
}
