// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOneStepProver, Step} from "../src/interfaces/IOneStepProver.sol";

/// @dev Says what the test tells it to, so that the game can be played without a machine. It reads its answer from the
///      witness, behind the element: `abi.encode(claimed, computed)`, or nothing at all to refuse.
contract ToyProver is IOneStepProver {
    error Refused();

    function step(Step calldata, bytes calldata witness) external pure returns (int64 claimed, int64 computed) {
        if (witness.length != 66) revert Refused();
        return abi.decode(witness[2:], (int64, int64));
    }

    function padding(Step calldata, bytes calldata witness) external pure returns (bool nonZero) {
        if (witness.length != 66) revert Refused();
        (int64 claimed, int64 computed) = abi.decode(witness[2:], (int64, int64));
        return claimed != computed;
    }
}
