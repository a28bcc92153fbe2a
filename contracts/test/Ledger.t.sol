// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim, Inclusion, Status} from "../src/types/Claim.sol";
import {Game, GameRef, Move, Rule} from "../src/types/Dispute.sol";
import {Gindex} from "../src/types/Gindex.sol";
import {ClaimId, GameId} from "../src/types/Ids.sol";
import {Base} from "./Base.sol";
import {Groups, Posting} from "./Groups.sol";
import {Trace, Traces} from "./Trace.sol";
import {World} from "./World.sol";

/// @dev Plays everything that anyone can do, in any order, and counts what came in and went out.
contract Player is World {
    using Traces for Trace;

    uint256 public paidIn;
    uint256 public paidOut;
    /// @dev Actions that took effect, by name: an invariant over nothing but reverts would hold for the wrong reason.
    mapping(bytes32 action => uint256 times) public done;

    Claim[] private _claims;
    mapping(uint256 index => uint256 batchId) private _batchOf;
    GameId[] private _games;
    mapping(bytes32 gameId => uint256 index) private _claimOf;
    mapping(uint256 gindex => bytes32 node) private _nodes;
    mapping(uint256 leaf => bytes data) private _leaves;
    bytes private _input;
    bytes private _output;
    Claim private _blank;

    function setUp() public override {
        super.setUp();
        paidIn = 1200 ether;
        Trace memory trace = Traces.changed(9, 6);
        for (uint256 g = 1; g < trace.nodes.length; ++g) {
            _nodes[g] = trace.nodes[g];
        }
        for (uint256 leaf = 0; leaf < trace.leaves.length; ++leaf) {
            _leaves[leaf] = trace.leaves[leaf];
        }
        _input = abi.encodePacked(trace.tensor(0), trace.tensor(1));
        _output = abi.encodePacked(trace.tensor(4), trace.tensor(3));
        _blank = claimOf(model, trace);
        this.post(false);
        this.startGame(1, 0, 0, true);
    }

    function who(uint256 seed) private view returns (address) {
        return [claimant, ALICE, BOB, EVE][seed % 4];
    }

    /// @dev One of the last games, so that most actions meet one that is still played.
    function pick(uint256 seed) private view returns (GameId) {
        return _games[recent(seed, _games.length)];
    }

    function recent(uint256 seed, uint256 count) private pure returns (uint256) {
        return count - 1 - seed % (count < 3 ? count : 3);
    }

    function deposit(uint8 account, uint64 amount) external {
        VM.deal(address(this), amount);
        chain.depositFor{value: amount}(who(account));
        paidIn += amount;
        ++done["deposit"];
    }

    function fund(uint8 account, uint64 amount) external {
        fund(who(account), amount);
        paidIn += amount;
        ++done["fund"];
    }

    function redeposit(uint8 account, uint64 amount) external {
        VM.prank(who(account));
        chain.redeposit(amount);
        ++done["redeposit"];
    }

    function withdraw(uint8 account, uint64 amount) external {
        VM.prank(who(account));
        chain.withdraw(amount);
        paidOut += amount;
        ++done["withdraw"];
    }

    function announce(uint8 account, uint64 amount) external {
        VM.prank(who(account));
        chain.announceWithdrawal(amount);
        ++done["announce"];
    }

    function complete(uint8 account) external {
        uint256 before = chain.balance(who(account));
        VM.prank(who(account));
        chain.completeWithdrawal();
        paidOut += before - chain.balance(who(account));
        ++done["complete"];
    }

    function post(bool spoiled) external {
        Posting[] memory postings = new Posting[](1);
        Claim memory claim = _blank;
        claim.nonce = nextNonce++;
        claim.validUntil = uint64(time);
        bytes memory signature = signed(CLAIMANT_KEY, ClaimId.unwrap(chain.claimIdOf(claim)));
        postings[0] = Posting(claim, spoiled ? bytes("") : signature, _input, _output);
        uint256 batchId = chain.postBatch(Groups.single(postings));
        if (chain.status(claim, Inclusion(batchId, 0, new bytes32[](0))) != Status.Posted) return;
        _batchOf[_claims.length] = batchId;
        _claims.push(claim);
        ++done["post"];
    }

    function startGame(uint8 challenger, uint8 claim, uint64 value, bool committed) external {
        uint256 index = recent(claim, _claims.length);
        ClaimId claimId = chain.claimIdOf(_claims[index]);
        address sender = who(challenger);
        bytes32 commitment = committed ? game.commitmentOf(claimId, _nodes[1], sender, Gindex.wrap(41), 0) : bytes32(0);
        Inclusion memory inclusion = Inclusion(_batchOf[index], 0, new bytes32[](0));
        VM.deal(sender, value);
        VM.prank(sender);
        GameId gameId = game.challenge{value: value}(_claims[index], inclusion, commitment);
        paidIn += value;
        _claimOf[GameId.unwrap(gameId)] = index;
        _games.push(gameId);
        note(gameId, claimId, _claims[index].traceRoot, sender);
        ++done["challenge"];
    }

    function open(uint8 seed) external {
        GameId gameId = pick(seed);
        uint256 gindex = game.gameOf(gameId).gindex;
        if (gindex >= 32) {
            game.revealLeaf(only(_leaves[gindex - 32]));
        } else {
            uint256 levels = gindex >= 16 ? 1 : 2;
            bytes32[][] memory openings = new bytes32[][](1);
            openings[0] = new bytes32[](2 ** levels);
            for (uint256 j = 0; j < 2 ** levels; ++j) {
                openings[0][j] = _nodes[(gindex << levels) + j];
            }
            game.reveal(openings);
        }
        ++done["reveal"];
    }

    function goDown(uint8 seed, bool right) external {
        this.open(seed);
        GameId gameId = pick(seed);
        Game memory stored = game.gameOf(gameId);
        uint256 levels = stored.gindex >= 16 ? 1 : 2;
        uint256 gindex = (uint256(stored.gindex) << levels) + (right ? 2 ** levels - 1 : 0);
        bytes memory siblings = abi.encodePacked(_nodes[gindex ^ 1]);
        if (levels == 2) siblings = abi.encodePacked(siblings, _nodes[(gindex >> 1) ^ 1]);
        Move memory move = moveOf(gameId);
        VM.prank(move.game.challenger);
        game.select(move, Gindex.wrap(uint128(gindex)), _nodes[gindex], siblings);
        ++done["select"];
    }

    function convict(uint8 seed, bool equal) external {
        wait(1);
        GameId gameId = pick(seed);
        Move memory move = moveOf(gameId);
        Claim memory claim = _claims[_claimOf[GameId.unwrap(gameId)]];
        VM.prank(move.game.challenger);
        game.prove(move, claim, Gindex.wrap(41), 0, Rule.Step, difference(1, equal ? int64(1) : int64(2)));
        ++done["prove"];
    }

    function collect(uint8 account, uint8 first, uint8 second) external {
        GameRef[] memory games = two(pick(first), pick(second));
        VM.prank(who(account));
        game.timeout(games);
        ++done["timeout"];
    }

    function reclaim(uint8 first, uint8 second) external {
        game.reclaim(two(pick(first), pick(second)));
        ++done["reclaim"];
    }

    function release(uint8 claim) external {
        uint256 index = claim % _claims.length;
        chain.release(_claims[index], Inclusion(_batchOf[index], 0, new bytes32[](0)));
        ++done["release"];
    }

    function pass(uint8 duration) external {
        // Mostly a few seconds; now and then a clock runs out, or the window of all claims ends.
        if (duration % 16 == 0) wait(WINDOW + 1);
        else wait(duration % 8 == 1 ? CLOCK + 1 : uint256(duration) % 10);
    }

    /// @dev Balances, earnings and locked bonds of everybody who plays.
    function held() external view returns (uint256 total) {
        for (uint256 j = 0; j < 4; ++j) {
            total += chain.balance(who(j)) + chain.earnings(who(j)) + chain.locked(who(j));
        }
        // It opens nodes itself, and is paid for them.
        total += chain.earnings(address(this));
    }

    /// @dev The bonds that must be locked now, one by one.
    function owedBonds() external view returns (uint256 total) {
        for (uint256 j = 0; j < _claims.length; ++j) {
            uint256 batchId = _batchOf[j];
            if (!chain.isReleased(batchId, 0) && !isConvicted(chain.claimIdOf(_claims[j]))) total += CLAIM_BOND;
        }
        for (uint256 j = 0; j < _games.length; ++j) {
            if (game.gameOf(_games[j]).open) total += CHALLENGE_BOND;
        }
    }

    function lockedBonds() external view returns (uint256 total) {
        for (uint256 j = 0; j < 4; ++j) {
            total += chain.locked(who(j));
        }
    }

    function burned() external view returns (uint256) {
        return chain.burned();
    }

    function treasury() external view returns (uint256) {
        return address(chain).balance;
    }

    /// @dev No claim is both released and invalid.
    function contradictions() external view returns (uint256 found) {
        for (uint256 j = 0; j < _claims.length; ++j) {
            if (chain.isReleased(_batchOf[j], 0) && isConvicted(chain.claimIdOf(_claims[j]))) ++found;
        }
    }
}

/// forge-config: default.invariant.runs = 32
/// forge-config: default.invariant.depth = 50
contract LedgerInvariantTest is Base {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev `Player.fund.selector`, whose name is overloaded.
    bytes4 private constant FUND = bytes4(keccak256("fund(uint8,uint64)"));

    Player private player;

    function setUp() public {
        player = new Player();
        player.setUp();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(player);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[15] memory chosen = [
            Player.deposit.selector,
            FUND,
            Player.redeposit.selector,
            Player.withdraw.selector,
            Player.announce.selector,
            Player.complete.selector,
            Player.post.selector,
            Player.startGame.selector,
            Player.open.selector,
            Player.goDown.selector,
            Player.convict.selector,
            Player.collect.selector,
            Player.reclaim.selector,
            Player.release.selector,
            Player.pass.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(player), new bytes4[](chosen.length));
        for (uint256 j = 0; j < chosen.length; ++j) {
            targets[0].selectors[j] = chosen[j];
        }
    }

    function invariant_ledger_inIsOutHeldAndBurned() public view {
        uint256 rest = player.paidIn() - player.paidOut();
        same("held and burned", player.held() + player.burned(), rest);
        same("ether", player.treasury(), rest);
    }

    function invariant_bonds_areLockedOneByOne() public view {
        same("locked", player.lockedBonds(), player.owedBonds());
    }

    function invariant_claims_areNeverReleasedAndInvalid() public view {
        same("contradictions", player.contradictions(), 0);
    }

    /// @dev The player's actions do take effect: one life of a claim of each kind, in order.
    function test_player_everyAction_takesEffect() public {
        player.deposit(3, 5);
        player.announce(3, 4);
        player.fund(3, 7);
        player.redeposit(3, 1);
        player.withdraw(3, 5);
        player.post(false);
        player.post(false);
        player.post(false);
        player.startGame(1, 2, 0, true);
        player.startGame(2, 2, 1 ether, false);
        player.pass(2);
        player.convict(1, false);
        player.reclaim(0, 1);
        player.startGame(1, 1, 0, false);
        player.open(0);
        player.goDown(0, true);
        player.pass(1);
        player.collect(3, 0, 0);
        player.pass(0);
        player.complete(3);
        player.release(3);
        bytes32[14] memory actions = [
            bytes32("deposit"),
            "fund",
            "redeposit",
            "withdraw",
            "announce",
            "complete",
            "post",
            "challenge",
            "reveal",
            "select",
            "prove",
            "timeout",
            "reclaim",
            "release"
        ];
        for (uint256 j = 0; j < actions.length; ++j) {
            yes("took effect", player.done(actions[j]) != 0);
        }
        invariant_ledger_inIsOutHeldAndBurned();
        invariant_bonds_areLockedOneByOne();
    }
}
