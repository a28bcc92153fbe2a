// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Attached} from "./Attached.sol";
import {ModelId} from "./types/Ids.sol";

/// @title Stakes
/// @notice Who can be drawn to answer for a quorum. A seat for a model holds one share of its prover's stake, and every answer of
///         a drawn prover holds one more until its claim has ended. Only a conviction by the game takes a share: nothing is lost
///         by being silent.
/// @dev A draw is fixed by what the seats were at the end of the request's block. So seats are never moved: who leaves stays where it is until
///      no request can draw it any more, and its place is then free for whoever comes next.
abstract contract Stakes is Attached {
    /// @notice From leaving a seat, so many blocks pass until its share is free. Draws of earlier requests are over then.
    uint256 public constant LEAVING_BLOCKS = 300;

    /// @dev A draw looks at so many places at most.
    uint256 private constant MOST_TRIES = 256;

    /// @notice What a seat holds, and what a drawn prover has at stake beside its claim's bond: as much as that bond.
    uint256 public immutable SHARE;

    struct Stake {
        uint128 free;
        uint128 held;
    }

    struct Seat {
        address prover;
        uint40 joined;
        uint40 left;
    }

    /// @notice Wei that was taken from stakes and went to nobody.
    uint256 public burned;
    /// @notice A prover's stake: what is free, and what seats and answers hold.
    mapping(address prover => Stake stake) public stakes;
    /// @notice Seats for a model that requests made now can draw.
    mapping(ModelId modelId => uint256 count) public seatCount;

    mapping(ModelId modelId => Seat[] seats) private _seats;
    mapping(ModelId modelId => uint256[] places) private _empty;
    /// @dev Their place plus one.
    mapping(ModelId modelId => mapping(address prover => uint256 place)) private _placeOf;

    /// @notice The prover's stake grew.
    event Staked(address indexed prover, uint256 amount);
    /// @notice The prover took so much of its stake out.
    event Unstaked(address indexed prover, uint256 amount);
    /// @notice The prover can be drawn for the model.
    event Joined(ModelId indexed modelId, address indexed prover);
    /// @notice Requests made from now on do not draw the prover for the model.
    event Left(ModelId indexed modelId, address indexed prover);
    /// @notice A seat's share is free again.
    event Vacated(ModelId indexed modelId, address indexed prover);
    /// @notice A share was taken from a prover, because a claim of its is invalid, and went to nobody.
    event ShareBurned(address indexed prover, uint256 amount);

    /// @notice The prover has `available` wei of stake that nothing holds; stake the difference.
    error InsufficientStake(address prover, uint256 available, uint256 needed);
    /// @notice Only the Requests contract may call this.
    error NotRequests(address caller);
    /// @notice The prover does not take its stake.
    error UnstakingRefused(address prover);
    /// @notice There is no such model on the chain.
    error NoSuchModel(ModelId modelId);
    /// @notice The prover has a seat for the model, or one that it has left and not vacated.
    error HasSeat(ModelId modelId, address prover);
    /// @notice The prover has no seat for the model, or has left it.
    error NoSeat(ModelId modelId, address prover);
    /// @notice The seat can be vacated behind block `number`; 0 if it was not left.
    error SeatHeld(ModelId modelId, address prover, uint256 number);
    /// @notice So few seats for the model can be drawn.
    error TooFewSeats(ModelId modelId, uint256 seats, uint256 needed);

    /// @notice The contract that holds, frees and takes shares.
    address public immutable REQUESTS;

    modifier onlyRequests() {
        _onlyRequests();
        _;
    }

    constructor() {
        REQUESTS = msg.sender;
        SHARE = CHAIN.parameters().claimBond;
    }

    /// @notice Adds the value sent to the sender's stake.
    function stake() external payable {
        // forge-lint: disable-next-line(unsafe-typecast) more wei than there are
        stakes[msg.sender].free += uint128(msg.value);
        emit Staked(msg.sender, msg.value);
    }

    /// @notice Pays out stake of the sender that nothing holds.
    // slither-disable-next-line low-level-calls,arbitrary-send-eth to the caller itself, after the books are written
    function unstake(uint128 amount) external {
        _takeFree(msg.sender, amount);
        emit Unstaked(msg.sender, amount);
        (bool accepted,) = msg.sender.call{value: amount}("");
        if (!accepted) revert UnstakingRefused(msg.sender);
    }

    /// @notice Takes a seat for a model, which holds a share.
    function join(ModelId modelId) external {
        if (!CHAIN.isRegistered(modelId)) revert NoSuchModel(modelId);
        if (_placeOf[modelId][msg.sender] != 0) revert HasSeat(modelId, msg.sender);
        _holdShare(msg.sender);
        Seat memory seat = Seat(msg.sender, uint40(block.number), 0);
        Seat[] storage seats = _seats[modelId];
        uint256[] storage empty = _empty[modelId];
        uint256 place = seats.length;
        if (empty.length == 0) {
            seats.push(seat);
        } else {
            place = empty[empty.length - 1];
            empty.pop();
            seats[place] = seat;
        }
        _placeOf[modelId][msg.sender] = place + 1;
        seatCount[modelId] += 1;
        emit Joined(modelId, msg.sender);
    }

    /// @notice Gives a seat up: requests made from this block on do not draw the sender. Earlier ones still may.
    function resign(ModelId modelId) external {
        uint256 place = _placeOf[modelId][msg.sender];
        if (place == 0 || _seats[modelId][place - 1].left != 0) revert NoSeat(modelId, msg.sender);
        _seats[modelId][place - 1].left = uint40(block.number);
        seatCount[modelId] -= 1;
        emit Left(modelId, msg.sender);
    }

    /// @notice Frees the share of a seat that was left `LEAVING_BLOCKS` ago.
    function vacate(ModelId modelId) external {
        uint256 place = _placeOf[modelId][msg.sender];
        if (place == 0) revert NoSeat(modelId, msg.sender);
        uint256 left = _seats[modelId][place - 1].left;
        if (left == 0) revert SeatHeld(modelId, msg.sender, 0);
        if (!(block.number > left + LEAVING_BLOCKS)) revert SeatHeld(modelId, msg.sender, left + LEAVING_BLOCKS);
        delete _seats[modelId][place - 1];
        delete _placeOf[modelId][msg.sender];
        _empty[modelId].push(place - 1);
        _freeShare(msg.sender);
        emit Vacated(modelId, msg.sender);
    }

    /// @notice Holds one more share of a prover's stake. Only the Requests contract may.
    function hold(address prover) external onlyRequests {
        _holdShare(prover);
    }

    /// @notice Frees a share of a prover's stake. Only the Requests contract may.
    function release(address prover) external onlyRequests {
        _freeShare(prover);
    }

    /// @notice Burns a share of a prover's stake. Nobody gets any of it: who asked, who disputed and who lied may be one. Only the
    ///         Requests contract may.
    function forfeit(address prover) external onlyRequests {
        // forge-lint: disable-next-line(unsafe-typecast) a bond is below 2**80
        stakes[prover].held -= uint128(SHARE);
        burned += SHARE;
        emit ShareBurned(prover, SHARE);
    }

    /// @notice All places for a model, empty ones included.
    function placeCount(ModelId modelId) external view returns (uint256) {
        return _seats[modelId].length;
    }

    /// @dev Different provers, each of which had a seat at the end of block `madeAt`, when there were `places`; the seed alone decides which.
    function _draw(ModelId modelId, uint256 places, uint256 madeAt, uint256 count, bytes32 seed)
        internal
        view
        returns (address[] memory members)
    {
        members = new address[](count);
        Seat[] storage seats = _seats[modelId];
        uint256 found = 0;
        for (uint256 j = 0; found < count; ++j) {
            if (j == MOST_TRIES) revert TooFewSeats(modelId, found, count);
            Seat memory seat = seats[uint256(keccak256(abi.encode(seed, j))) % places];
            bool counts = seat.prover != address(0) && seat.joined <= madeAt && (seat.left == 0 || seat.left > madeAt);
            if (!counts || _contains(members, seat.prover)) continue;
            members[found++] = seat.prover;
        }
    }

    function _contains(address[] memory list, address wanted) internal pure returns (bool) {
        for (uint256 j = 0; j < list.length; ++j) {
            if (list[j] == wanted) return true;
        }
        return false;
    }

    function _holdShare(address prover) private {
        _takeFree(prover, SHARE);
        // forge-lint: disable-next-line(unsafe-typecast) a bond is below 2**80
        stakes[prover].held += uint128(SHARE);
    }

    function _freeShare(address prover) private {
        // forge-lint: disable-next-line(unsafe-typecast) a bond is below 2**80
        stakes[prover].held -= uint128(SHARE);
        // forge-lint: disable-next-line(unsafe-typecast) a bond is below 2**80
        stakes[prover].free += uint128(SHARE);
    }

    function _onlyRequests() private view {
        if (msg.sender != REQUESTS) revert NotRequests(msg.sender);
    }

    function _takeFree(address prover, uint256 amount) private {
        uint128 available = stakes[prover].free;
        if (available < amount) revert InsufficientStake(prover, available, amount);
        // forge-lint: disable-next-line(unsafe-typecast) at most `available`
        stakes[prover].free = available - uint128(amount);
    }
}
