// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim, Inclusion} from "../types/Claim.sol";
import {Rule} from "../types/Dispute.sol";
import {Gindex} from "../types/Gindex.sol";
import {ClaimId, ModelId} from "../types/Ids.sol";
import {Outline, TracePolicy} from "../types/Model.sol";
import {Payment} from "../types/Payment.sol";
import {Verdict} from "../types/Verdict.sol";

/// @title IRollupChain
/// @notice What the dispute game asks of the chain, and the only hand that it has on money and on verdicts.
interface IRollupChain {
    /// @notice Takes the bond of a challenge to a posted claim from the value sent and the challenger's earnings; reverts if
    ///         the proof does not place the claim in that batch, or the challenge period is over. Only the game may.
    /// @param isFirst whether it is the first challenge to the claim, which stops the chain's clock for a while
    /// @return policy of the claim's model
    /// @return traceDepth levels from its trace roots down to the entries
    /// @return leafDepth levels from its trace roots down to the leaves
    function admit(
        ClaimId claimId,
        ModelId modelId,
        Inclusion calldata inclusion,
        address challenger,
        uint256 bond,
        bool isFirst
    ) external payable returns (TracePolicy policy, uint8 traceDepth, uint8 leafDepth);

    /// @notice The part of a model that most moves need; reverts if the model is not registered.
    function outlineOf(ModelId modelId) external view returns (Outline memory);

    /// @notice The difference that the witness shows where no op says what belongs there; reverts if there is none.
    /// @param place an entry (`Input`, `Output`) or a leaf that is none of an op's output (`Padding`)
    function entryVerdict(Claim calldata claim, bytes32 traceRoot, Gindex place, Rule rule, bytes calldata witness)
        external
        view
        returns (Verdict memory);

    /// @notice Frees a challenger's bond whole. Only the game may.
    function unlock(address challenger, uint256 bond) external;

    /// @notice Takes a challenger's bond, pays from it and burns the rest. Only the game may.
    function forfeit(address challenger, uint256 bond, Payment[] calldata payments) external;

    /// @notice Takes the bond of an invalid claim, pays from it and burns the rest; frees the bond of the challenger that
    ///         won. Only the game may, which keeps for good that the claim is invalid.
    function convict(
        ClaimId claimId,
        address claimant,
        address challenger,
        uint256 challengersBond,
        Payment[] calldata payments
    ) external;
}
