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

    /// @dev `descriptor`: `abi.encode(monoid, parts)`.
    function outline(Step calldata, uint32, bytes calldata descriptor)
        external
        pure
        returns (uint8 monoid, uint32 parts)
    {
        if (descriptor.length != 64) revert Refused();
        return abi.decode(descriptor, (uint8, uint32));
    }

    /// @dev Behind the element: `abi.encode(value, position)`.
    function part(Step calldata, uint32, uint32, bytes calldata witness)
        external
        pure
        returns (int64 value, uint64 position)
    {
        if (witness.length != 66) revert Refused();
        return abi.decode(witness[2:], (int64, uint64));
    }

    function epilogue(Step calldata, uint32, int64, bytes calldata witness)
        external
        pure
        returns (int64 claimed, int64 computed)
    {
        if (witness.length != 66) revert Refused();
        return abi.decode(witness[2:], (int64, int64));
    }
}
