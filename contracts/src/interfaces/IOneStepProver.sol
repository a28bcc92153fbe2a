// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice One leaf of one execution: what a one-step proof is about.
/// @param modelId program root, under which the op's descriptor is proven
/// @param traceRoot root of the execution's trace tree, under which the operands and the leaf are proven
/// @param traceDepth levels from the trace root down to its entries
/// @param tensorDepth levels from an entry down to its leaves
/// @param leaf the disputed leaf's index among all leaves of the trace: its gindex less `2**(traceDepth + tensorDepth)`
struct Step {
    bytes32 modelId;
    bytes32 traceRoot;
    uint8 traceDepth;
    uint8 tensorDepth;
    uint64 leaf;
}

/// @title IOneStepProver
/// @notice Recomputes one element of one op's output from a witness. Anything that is not in order reverts; a verdict is
///         only ever an explicitly returned difference.
interface IOneStepProver {
    /// @notice The element that the witness names, as the trace has it and as the op gives it.
    /// @param witness encoded as docs/formats.md, *Witnesses*, says
    function step(Step calldata disputed, bytes calldata witness) external view returns (int64 claimed, int64 computed);

    /// @notice Whether the disputed leaf of an op's output has a non-zero byte behind the tensor's last element.
    /// @param witness as in `step`, with the trace tree alone, which holds the disputed leaf alone
    function padding(Step calldata disputed, bytes calldata witness) external view returns (bool nonZero);

    /// @notice How element `element` of the disputed leaf is reduced: the op's monoid, and the number of parts of its domain.
    /// @param descriptor the op's descriptor with its path: the witness's bytes from the descriptor's length to its siblings
    function outline(Step calldata disputed, uint32 element, bytes calldata descriptor)
        external
        view
        returns (uint8 monoid, uint32 parts);

    /// @notice What part `number` of the domain reduces to for element `element` of the disputed leaf: for an argument its value
    ///         and position in the whole domain, else the value and 0.
    /// @param witness as in `step` for the same element, without the disputed leaf and what the code reads: the trace tree may
    ///        have no leaf at all
    function part(Step calldata disputed, uint32 element, uint32 number, bytes calldata witness)
        external
        view
        returns (int64 value, uint64 position);

    /// @notice Element `element` of the disputed leaf, as the trace has it and as the op's code makes it of the accumulator `acc`.
    /// @param witness as in `step` for the same element, without what the factors read
    function epilogue(Step calldata disputed, uint32 element, int64 acc, bytes calldata witness)
        external
        view
        returns (int64 claimed, int64 computed);
}
