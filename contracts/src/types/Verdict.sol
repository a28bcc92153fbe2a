// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rule} from "./Dispute.sol";
import {Gindex} from "./Gindex.sol";

/// @notice A place, what the trace has there, and what belongs there.
/// @param traceIndex the value
/// @param element element (`Step`, `Part`, `Epilogue`) or byte (`Padding`) within the disputed leaf; for an op's padding not
///        known, and 0
/// @param part number of the part of the domain (`Part`)
/// @param claimed what the trace has: an integer, sign-extended (`Step`, `Padding`, `Epilogue`), or a tensor root (`Input`, `Output`);
///        for `Part` the partial result, sign-extended, or of an argument `position << 64 | uint64(value)`
/// @param computed what belongs there, in the same form
struct Verdict {
    uint256 traceIndex;
    uint256 element;
    uint256 part;
    bytes32 claimed;
    bytes32 computed;
}

/// @notice What was given hashes to `computed`, not to the node.
error HashMismatch(bytes32 computed, bytes32 node);
/// @notice The rule does not apply to this place.
error RuleNotApplicable(Rule rule, Gindex place);
/// @notice The witness has `given` bytes, and the rule needs `needed`.
error WitnessLength(uint256 given, uint256 needed);
/// @notice The witness proves that the claim is right there.
error NoMismatch(Gindex place);
