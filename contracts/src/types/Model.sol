// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice When the trace root of a claim has to be known.
enum TracePolicy {
    WithClaim,
    OnDispute
}

/// @notice One input or output of a program.
/// @param value its index in the trace
/// @param byteLength bytes of its elements, without padding
struct Tensor {
    uint32 value;
    uint64 byteLength;
}

/// @notice What most moves need to know of a model.
/// @param inputs their number; the values from there on are outputs of ops
struct Outline {
    TracePolicy policy;
    uint8 traceDepth;
    uint8 tensorDepth;
    uint32 values;
    uint256 inputs;
}

/// @notice What L1 keeps of a program's header.
/// @param traceDepth levels from a trace root down to the entries
/// @param tensorDepth levels from an entry down to its leaves
/// @param values entries of the trace that are in use; inputs come first
struct Model {
    TracePolicy policy;
    uint8 traceDepth;
    uint8 tensorDepth;
    uint32 values;
    Tensor[] inputs;
    Tensor[] outputs;
}
