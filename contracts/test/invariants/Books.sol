// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OracleAdapter} from "../../src/OracleAdapter.sol";
import {Claim, Inclusion} from "../../src/types/Claim.sol";
import {GameId, ModelId} from "../../src/types/Ids.sol";
import {QuorumWorld} from "../QuorumWorld.sol";

/// @dev Who plays, and what must be where by the books that are kept beside the contracts. A handler is one call of an entry point
///      and reverts if the call does; what contradicts the books is noted, since a revert would take it back.
abstract contract Books is QuorumWorld {
    uint256 internal constant MODELS = 3;
    uint256 internal constant USED = type(uint256).max;
    uint16 internal constant ROYALTY = 1_000;

    /// @dev A claim on L1, small enough to keep thousands. Its output, and its trace, are `BYTES` or `LIE`.
    struct Filed {
        address claimant;
        uint40 batchId;
        uint16 index;
        uint8 model;
        bool lies;
        bool isFreed;
        bool isConvicted;
        uint64 validUntil;
        uint256 nonce;
        bytes32 requestId;
    }

    struct Played {
        GameId id;
        uint256 filed;
        address challenger;
        bool isOver;
    }

    OracleAdapter internal adapter;
    ModelId[MODELS] internal models;
    /// @dev The first contradiction between the books and the contracts.
    string public fault;

    /// @dev Ether that came into all contracts, and left them.
    uint256 internal ledgerIn;
    uint256 internal ledgerOut;
    uint256 internal requestsIn;
    uint256 internal requestsOut;
    uint256 internal stakedIn;
    uint256 internal stakedOut;
    /// @dev Fees of open requests and of what subscriptions can still ask, and parts of agreed ones that are not settled; what of
    ///      fees is earned; what the adapter owes.
    uint256 internal owed;
    uint256 internal refundsOwed;
    mapping(address account => uint256 amount) internal earnedOf;
    mapping(address account => uint256 amount) internal freeOf;
    mapping(address account => uint256 amount) internal lockedOf;
    mapping(address prover => uint256 count) internal shares;
    /// @dev Zero: never used; a time: usable until then; `USED`: by a claim on L1.
    mapping(address claimant => mapping(uint256 nonce => uint256 state)) internal nonces;

    Filed[] internal filed;
    Played[] internal played;
    /// @dev Games of a claim that have not ended, as the books say.
    mapping(uint256 filedIndex => uint256[] games) internal gamesOf;
    mapping(uint256 batchId => bytes32[] leaves) internal leavesOf;
    mapping(bool lies => bytes32 outputRoot) internal outputRoots;
    bytes32 internal inputRoot;

    uint256 private _calls;

    error NothingThere();

    function setUp() public virtual override {
        super.setUp();
        adapter = OracleAdapter(payable(VM.deployCode("artifacts/OracleAdapter.json", abi.encode(requests))));
        bytes memory lazyHeader = smallHeader();
        lazyHeader[2] = 0x01;
        models = [small, chain.registerModel(lazyHeader, abi.encodePacked(bytes32(uint256(5)))), published(6, BOB)];
        (inputRoot, outputRoots[false], outputRoots[true]) = (root(BYTES), root(BYTES), root(LIE));
        fund(ALICE, 9_000 ether);
        ledgerIn = 1_000 ether + 200 ether + PROVERS_COUNT * 100_000 ether + 9_000 ether;
        freeOf[claimant] = 1_000 ether;
        for (uint256 j = 0; j < PROVERS_COUNT; ++j) {
            freeOf[prover(j)] = 100_000 ether;
        }
        seat(PROVERS_COUNT - 1, 20);
        for (uint256 j = 0; j < PROVERS_COUNT - 1; ++j) {
            (stakedIn, shares[prover(j)]) = (stakedIn + 21 * CLAIM_BOND, 1);
        }
    }

    /// @dev Each call of a run sees the time that the calls before it left. Its choices are spread evenly, whatever was fuzzed.
    modifier acts() {
        VM.warp(time);
        VM.roll(height);
        _;
    }

    function mixed(uint256 seed) internal returns (uint256) {
        return uint256(keccak256(abi.encode(seed, ++_calls)));
    }

    /// @dev A choice below `count` that is independent of those with another `salt`.
    function pick(uint256 seed, uint256 salt, uint256 count) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, salt))) % count;
    }

    function oneIn(uint256 seed, uint256 salt, uint256 count) internal pure returns (bool) {
        return pick(seed, salt, count) == 0;
    }

    function expect(string memory what, uint256 actual, uint256 expected) internal {
        if (actual != expected && bytes(fault).length == 0) fault = what;
    }

    function published(uint256 sibling, address author) internal returns (ModelId modelId) {
        bytes32 leaf = sha256(abi.encodePacked(hex"02", smallHeader()));
        modelId = ModelId.wrap(sha256(abi.encodePacked(hex"01", leaf, sibling)));
        requests.commit(keccak256(abi.encode(modelId, author, bytes32(sibling))));
        nextBlock();
        VM.prank(author);
        requests.publish(modelId, smallHeader(), abi.encodePacked(sibling), ROYALTY, bytes32(sibling));
    }

    function everyone() internal view returns (address[] memory list) {
        list = new address[](PROVERS_COUNT + 6);
        for (uint256 j = 0; j < PROVERS_COUNT; ++j) {
            list[j] = prover(j);
        }
        (list[PROVERS_COUNT], list[PROVERS_COUNT + 1], list[PROVERS_COUNT + 2]) = (claimant, ALICE, BOB);
        (list[PROVERS_COUNT + 3], list[PROVERS_COUNT + 4]) = (EVE, address(this));
        list[PROVERS_COUNT + 5] = address(adapter);
    }

    /// @dev An account with a key of its own.
    function anyone(uint256 seed, uint256 salt) internal view returns (address) {
        return everyone()[pick(seed, salt, PROVERS_COUNT + 4)];
    }

    /// @dev The claim's trace: both entries are its leaves.
    function traceRootOf(bool lies) internal view returns (bytes32) {
        return sha256(abi.encodePacked(hex"01", inputRoot, outputRoots[lies]));
    }

    function claimAt(Filed memory one_) internal view returns (Claim memory claim) {
        (claim.modelId, claim.claimant, claim.nonce) = (models[one_.model], one_.claimant, one_.nonce);
        (claim.validUntil, claim.requestId) = (one_.validUntil, one_.requestId);
        (claim.inputRoot, claim.outputRoot) = (inputRoot, outputRoots[one_.lies]);
        if (one_.model != 1) claim.traceRoot = traceRootOf(one_.lies);
    }

    /// @dev The path of a claim to its batch's root, filled up with what a batch is filled up with.
    function inclusionOf(Filed memory one_) internal view returns (Inclusion memory inclusion) {
        bytes32[] memory level = leavesOf[one_.batchId];
        (inclusion.batchId, inclusion.index) = (one_.batchId, one_.index);
        uint256 depth = 0;
        while (2 ** depth < level.length) ++depth;
        inclusion.proof = new bytes32[](depth);
        bytes32 filler = paddingLeaf();
        uint256 index = one_.index;
        for (uint256 up = 0; up < depth; ++up) {
            inclusion.proof[up] = index ^ 1 < level.length ? level[index ^ 1] : filler;
            bytes32[] memory above = new bytes32[]((level.length + 1) / 2);
            for (uint256 j = 0; j < above.length; ++j) {
                bytes32 right = 2 * j + 1 < level.length ? level[2 * j + 1] : filler;
                above[j] = sha256(abi.encodePacked(level[2 * j], right));
            }
            filler = sha256(abi.encodePacked(filler, filler));
            (level, index) = (above, index >> 1);
        }
    }

    /// @dev Stands where no claim is posted.
    function paddingLeaf() internal pure returns (bytes32) {
        return sha256(hex"05");
    }

    /// @dev Ether of every contract, account by account; reverts where the books differ.
    function audit() external view {
        if (bytes(fault).length != 0) revert Differs(fault, 0, 0);
        address[] memory accounts = everyone();
        uint256[3] memory held = [chain.burned(), owed, provers.burned()];
        for (uint256 j = 0; j < accounts.length; ++j) {
            address one_ = accounts[j];
            same("free balance", chain.balance(one_), freeOf[one_]);
            same("locked, bond by bond", chain.locked(one_), lockedOf[one_]);
            same("earned of fees", requests.earned(one_), earnedOf[one_]);
            held[0] += chain.balance(one_) + chain.earnings(one_) + chain.locked(one_);
            held[1] += requests.earned(one_);
            (uint128 free, uint128 taken) = provers.stakes(one_);
            same("shares", taken, shares[one_] * CLAIM_BOND);
            held[2] += uint256(free) + taken;
        }
        same("RollupChain: in is out, held and burned", held[0], ledgerIn - ledgerOut);
        same("RollupChain: ether", address(chain).balance, held[0]);
        same("Requests: in is out, escrow and earned", held[1], requestsIn - requestsOut);
        same("Requests: ether", address(requests).balance, held[1]);
        same("Provers: in is out, stakes and burned", held[2], stakedIn - stakedOut);
        same("Provers: ether", address(provers).balance, held[2]);
        same("OracleAdapter: refunds", address(adapter).balance + earnedOf[address(adapter)], refundsOwed);
        same("DisputeGame: ether", address(game).balance, 0);
    }
}
