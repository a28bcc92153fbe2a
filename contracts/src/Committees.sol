// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Stakes} from "./Stakes.sol";
import {ModelId} from "./types/Ids.sol";

/// @title Committees
/// @notice Who may answer for a quorum: provers that somebody named, or that were drawn. Each is there once.
abstract contract Committees is Stakes {
    /// @notice Fewest provers of a quorum.
    uint8 public constant MIN_QUORUM = 3;
    /// @notice Most provers of a quorum: all must answer alike, and each is a claim.
    uint8 public constant MAX_QUORUM = 9;

    mapping(bytes32 committee => address[] members) private _members;

    /// @notice The committee can be named in requests.
    event CommitteeNamed(bytes32 indexed committee, address[] members);

    /// @notice A committee has 3 to 9 members, in ascending order, none twice.
    error BadCommittee();

    /// @notice Makes a committee known, so that requests can name it; anyone may, once and for all requests.
    /// @param members in ascending order
    /// @return committee its id, the hash of the list
    function nameCommittee(address[] calldata members) external returns (bytes32 committee) {
        if (members.length < MIN_QUORUM || members.length > MAX_QUORUM || members[0] == address(0)) {
            revert BadCommittee();
        }
        for (uint256 j = 1; j < members.length; ++j) {
            if (members[j] <= members[j - 1]) revert BadCommittee();
        }
        return _name(members);
    }

    /// @notice The members of a committee that was named or drawn.
    function membersOf(bytes32 committee) external view returns (address[] memory) {
        return _members[committee];
    }

    /// @notice Whether the prover is a member of the committee.
    function isMember(bytes32 committee, address prover) external view returns (bool) {
        return _contains(_members[committee], prover);
    }

    /// @notice Draws a committee from those who had a seat at the end of block `madeAt`, when there were `places` for the model. Only the
    ///         Requests contract may, which fixes all of it.
    function draw(ModelId modelId, uint256 places, uint256 madeAt, uint256 count, bytes32 seed)
        external
        onlyRequests
        returns (bytes32 committee)
    {
        return _name(_draw(modelId, places, madeAt, count, seed));
    }

    function _name(address[] memory members) internal returns (bytes32 committee) {
        committee = keccak256(abi.encode(members));
        _members[committee] = members;
        emit CommitteeNamed(committee, members);
    }
}
