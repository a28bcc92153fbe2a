// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Duration} from "./Time.sol";

/// @notice The parameters of one deployment; nothing can change them later. Amounts are in wei.
/// @param window challenge period: by the chain's stopping clock; a first challenge is in time up to and including its end
/// @param clock each side's chess clock, per game
/// @param spacing what the first challenge to a claim stops the chain's clock for, at most a window
/// @param withdrawalDelay from announcing a withdrawal, or a nonce's cancellation, until it takes effect
/// @param arity levels that one reveal opens (`2**arity` children)
/// @param claimBond locked per claim until it is final
/// @param challengeBond locked per game
/// @param reward what a conviction pays the challenger from the claimant's bond
/// @param moveFee what a losing challenger pays for each node that was opened in its game, to whoever opened it
/// @param collectFee what whoever collects a timeout gets from the loser's bond
struct Params {
    Duration window;
    Duration clock;
    Duration spacing;
    Duration withdrawalDelay;
    uint8 arity;
    uint128 claimBond;
    uint128 challengeBond;
    uint128 reward;
    uint128 moveFee;
    uint128 collectFee;
}
