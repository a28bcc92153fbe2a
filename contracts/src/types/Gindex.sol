// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Position} from "../libraries/Position.sol";

/// @notice Generalised index of a tree node: the root is 1, the children of g are 2 g and 2 g + 1.
type Gindex is uint128;

using Position for Gindex global;
