// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Attached} from "./Attached.sol";
import {Committees} from "./Committees.sol";
import {RollupChain} from "./RollupChain.sol";

/// @title Provers
/// @notice Who can answer for quorums, and what they have at stake. Deployed by the Requests contract, the only one that it listens
///         to.
contract Provers is Committees {
    constructor(RollupChain chain) Attached(chain) {}
}
