"""Custom errors in words: what is wrong, and what to do. One row an error; tests compare the rows with the ABIs.

Braces hold an argument by its name, and its unit or its words: ``{needed:wei}``, ``{due:time}``, ``{status:status}``.
"""

from __future__ import annotations

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    # Money
    "InsufficientBalance": "{account} has {available:wei} free and needs {needed:wei}; deposit the difference",
    "InsufficientEarnings": (
        "{account} has {available:wei} of earnings and needs {needed:wei}; send the difference along, or fund it"
    ),
    "AccountFull": "{account} would hold {total:wei}, and the ledger takes less than 2^80 for each; use another account too",
    "WithdrawalNotDue": ("what {account} announced to withdraw can leave from {due:time} on; wait"),
    "InsufficientLocked": "{account} has {held:wei} locked, less than the bond of {needed:wei}; report this as a bug",
    "PaymentsExceedBond": "payments of {payments:wei} exceed the bond of {bond:wei}; report this as a bug",
    "WithdrawalRefused": "{account} refused its own withdrawal; withdraw from an account that accepts payments",
    # Models, uploads, batches
    "UnknownModel": "model {modelId} is not registered on this chain; register its program first",
    "ProofLength": "a proof of {length} bytes is no list of 32-byte siblings; take it from the program tree",
    "NotUploaded": "no upload of {byteLength} bytes has the root {root}; upload or join it first",
    "CannotJoin": (
        "{leftBytes} and {rightBytes} bytes cannot be joined; the left part fills 2^h leaves, the right is no longer"
    ),
    "TensorCount": "{given} tensors were given, the model has {needed} there; name them all in header order",
    "EmptyChunk": "a chunk has at least one byte; leave empty ones out",
    "HeaderTooShort": "the header has {length} bytes and should have {needed} at least; send the program's own header",
    "HeaderTooLong": "the header has {surplus} bytes behind its last output; send the program's own header",
    "UnsupportedVersion": (
        "the program has format version {version}, which this deployment does not speak; lower it again"
    ),
    "UnknownPolicy": (
        "the header's trace policy {policy} is neither 0 (with the claim) nor 1 (on dispute); lower it again"
    ),
    "DepthTooLarge": (
        "trace depth {traceDepth} and tensor depth {tensorDepth} must be 32 at most; use a smaller program"
    ),
    "ValuesOutside": (
        "the header's {values} values are more than its trace depth allows, or no more than its inputs; lower the model again"
    ),
    "RankTooLarge": "an input or output has {rank} dimensions, 12 are the most; merge some of them",
    "NoTensors": "a program has at least one input and one output; lower a function that has both",
    "UnknownType": "element type {dtype} is none of 0 to 3; lower the model again",
    "TensorTooLarge": "a tensor of {byteLength} bytes does not fit the header's tensor depth; lower the model again",
    "OutputOutside": "output value {value} is none of the program's; lower the model again",
    "BadParams": "these parameters would mint money or allow no game; see rollup.settings.Parameters for the limits",
    "OtherGame": "the game at {game} was deployed for another chain, or with other parameters; deploy both again",
    "NoProver": "there is no contract at the prover's address {prover}; deploy OneStepProver first",
    "EmptyBatch": "a batch has at least one claim; wait for one",
    "NotGame": "{caller} is not the dispute game, which alone may call this; use the game's moves",
    "NonceUsed": "{claimant} has used or cancelled nonce {nonce}; sign with another",
    "BadSignature": "the signature is not the claimant's (65 bytes r, s, v; low s); sign the claim id with its key",
    "ClaimExpired": "the claim could be posted until {validUntil:time} only; sign it again with a later validUntil",
    "TraceRootMissing": "the model's trace policy is 'with the claim'; sign the claim with its trace root",
    "PostingTooLarge": "input and output have {byteLength} bytes, more than one posting takes; upload them before",
    "InputLength": (
        "the input has {given} bytes, the model's header asks for {needed}; send every tensor in header order"
    ),
    "OutputLength": (
        "the output has {given} bytes, the model's header asks for {needed}; send every tensor in header order"
    ),
    "NoncesOver": "{count} nonces from {firstNonce} on are none at all, or go beyond 2^256; choose smaller ones",
    "RecordsLength": (
        "a section's records have {given} bytes, the model's header asks for {needed}; send every tensor in header order, and a trace "
        "root exactly if the model's policy is 'with the claim'"
    ),
    "InputMissing": "the bytes behind input root {inputRoot} are not on this chain; post them, or upload them before",
    "OutputMissing": "the bytes behind output root {outputRoot} are not on this chain; post them, or upload them before",
    "NotIncluded": "the proof does not place claim {claimId} in batch {batchId}; read the batch from L1 again",
    "NotFinal": "claim {claimId} is not final (it is {status:status}); wait for the end of its challenge period and games",
    "NoBrokenPromise": (
        "claim {promised} is no promise that {posted} broke: they need one claimant and one nonce, and the first must be signed, for no "
        "request, and not expired when the other was posted; and each nonce costs a bond once"
    ),
    "NothingToRelease": (
        "none of these groups has a bond to free: not final, freed before, or challenged; free challenged claims one by one"
    ),
    "AlreadyReleased": "the bond of claim {claimId} was released before; withdraw it from the balance",
    # Requests
    "FeeTooLow": "the fee of {given:wei} is below the {needed:wei} that an answer costs now; send more",
    "GasLimitTooHigh": "a callback may have {most} gas at most, {given} were asked for; ask for less",
    "AnswerTooLarge": "the model's output and the data have {byteLength} bytes, an answer repeats {most} at most; hand less data along",
    "BadTimes": "the times of the request are over, or not in order; let it end later, and its exclusive time before that",
    "InputUnknown": "the bytes behind input root {inputRoot} are not on this chain; send the input along, or upload it",
    "NotOpen": "request {requestId} is not open (it is {progress:progress}); read it again",
    "NotRequester": "{caller} did not ask this; cancel or end it with the account that did",
    "WrongData": "the data is not what {requestId} hands along; take it from the event of the request",
    "NotAnswering": "claim {claimId} does not answer request {requestId}; it must name it, with its model and input",
    "DoesNotCount": (
        "the claim of {claimant}, posted at {postedAt:time}, does not count for request {requestId}; it was too late, or another "
        "prover's time"
    ),
    "WrongOutput": "the output has root {given}, the claim's is {needed}; give the bytes that were posted",
    "NotEnoughGas": "{left} gas is left in front of the callback, which needs {needed}; send the transaction with more",
    "NotOver": "the fee can be taken back after {time:time} only; wait",
    "StillAnswerable": "{claims} claims that may answer {requestId} are noted; show one that is final, strike those that are invalid",
    "NothingToStrike": "claim {claimId} is not noted for {requestId}, or not invalid; nothing is to be done",
    "NothingToDeliver": "the callback of {requestId} did not fail; nothing is to be done",
    "RoyaltyTooHigh": "an author gets {most} basis points at most, {given} were asked for; ask for less",
    "NotCommitted": "there is no commitment {commitment} of an earlier block; commit, wait for a block, then publish",
    "AlreadyRegistered": "model {modelId} is registered already; it has no author here for good",
    "OtherModel": "the header is that of model {given}, not of {named}; send the program's own header",
    "NotDue": "the subscription's next request is due at {time:time}; wait",
    "NoBudget": "there is no subscription {subscriptionId}, or its budget is used up; subscribe again",
    "WrongBudget": "{given:wei} were sent, the budget is {needed:wei}: fee times requests; send exactly that",
    "NothingEarned": "{account} has earned nothing and got nothing back; nothing is to be done",
    "RequestExpired": "nobody answered {requestId} in time; ask again",
    "BadQuorum": "a quorum is of 3 to 9 provers, as many as its committee has, with blocks to commit in, and names no prover; ask again",
    "BadCommittee": "a committee has 3 to 9 members, in ascending order, none twice; sort the addresses",
    "TooFewSeats": (
        "{seats} provers can be drawn for model {modelId}, {needed} are needed; name a committee, or let more provers take a seat "
        "(touchstone stake join)"
    ),
    "NoQuorum": "request {requestId} has no committee to draw; read the request again",
    "NotDrawable": (
        "the committee of {requestId} is drawn by block {number}, whose hash is not known, or not any more; wait, or wait for a "
        "final answer"
    ),
    "AlreadyDrawn": "the committee of {requestId} was drawn before; nothing is to be done",
    "WrongHeader": "these bytes are not the header of block {number}; encode the header of this chain's block",
    "NotAHeader": "these bytes are not the header of a block; encode the header of this chain's block",
    "NotExpected": "{prover} is not in the committee of {requestId}, has committed before, or commits to nothing; read the request again",
    "TooLate": "this was possible for request {requestId} until block {number}; wait for a final answer",
    "TooEarly": "answers to {requestId} are revealed after block {number}, in which the last prover commits; wait for it",
    "WrongOpening": "claim {claimId} is not what its prover committed to for {requestId}; reveal the claim and salt of the commitment",
    "AlreadyRevealed": "claim {claimId} was revealed for {requestId} before; nothing is to be done",
    "NotPosted": (
        "claim {claimId} can't count (it is {status:status}); it must be signed, bonded and not invalid, or say where it is posted"
    ),
    "Undecided": "the quorum of {requestId} can agree until block {number}; wait for it",
    "NothingToSettle": "claim {claimId} did not answer for the quorum of {requestId}, or was settled before; nothing is to be done",
    "NotEnded": "claim {claimId} is neither final nor invalid (it is {status:status}); wait for the end of its challenge period and games",
    "InsufficientStake": "{prover} has {available:wei} of stake that nothing holds, {needed:wei} are needed; stake the difference",
    "UnstakingRefused": "{prover} did not take its own stake; let it accept payments",
    "NoSuchModel": "model {modelId} is not registered on this chain; register its program first",
    "HasSeat": "{prover} has a seat for model {modelId}, or has not vacated the one that it gave up; nothing is to be done",
    "NoSeat": "{prover} has no seat for model {modelId}, or gave it up; take one",
    "SeatHeld": ("the seat of {prover} for model {modelId} was given up and is held until block {number}; wait"),
    "NotRequests": "{caller} is not the Requests contract, which alone may call this; use its calls",
    "NotAskedHere": "request {requestId} was not made through the adapter; ask there",
    "NothingToRefund": "no fee of {asker} waits here; nothing is to be done",
    "RefundRefused": "{asker} did not take its own refund; let it accept payments",
    # The game
    "WindowOver": (
        "the challenge clock shows {reading:time}, and the challenge period was over behind {closesAt:time}; "
        "the claim can't be challenged any more"
    ),
    "AlreadyConvicted": "claim {claimId} is invalid already; reclaim the bonds of games that are left",
    "NotChallenged": "nobody has challenged claim {claimId}; keep its trace root until somebody does",
    "GameOver": "game {gameId} does not exist or has ended; read the claim's games again",
    "WrongClaim": "the move names claim {named}, but gives claim {actual}; give the claim that the game is about",
    "WrongTraceRoot": "the move names trace root {named}, the claim has {actual}; read the claim again",
    "WrongNode": "the move names node {named}, the game stands on {actual}; read the game again",
    "NotChallenger": "{caller} is not the game's challenger; open a game of your own",
    "ClockExpired": "the {side:side}'s clock in game {gameId} has run out; collect the timeout",
    "NotOpened": "node {node} was not opened yet; wait for the defender, or collect its timeout",
    "ChildCount": (
        "{given} children were given; give all descendants of one level, a power of two, 2 at least and {most} at most"
    ),
    "CannotSelect": "node {gindex} is the game's own or lies below the leaves; select one in between",
    "TraceRootAlreadySet": "claim {claimId} has a trace root, which stays; go on with it",
    "NoTraceRoot": "claim {claimId} has no trace root yet (or would get a zero one); the claimant sets it",
    "NotClaimant": (
        "only the claimant of {claimId} sets its trace root or gives partial results; for a root send its signature along"
    ),
    "PlaceNotReached": (
        "game {gameId} has neither stood on {place} nor committed to it since an earlier block; select or commit, then wait a block"
    ),
    "NothingToCollect": "no clock of these games has run out, or they have ended; wait until one has",
    "NothingToReclaim": "none of these games was ended by another one's conviction; play them on",
    "HashMismatch": "what was given hashes to {computed}, not to {node}; give the preimage of that node",
    "RuleNotApplicable": (
        "rule {rule} does not apply to place {place}; name a leaf of an op, or an input's or output's entry"
    ),
    "WitnessLength": "the witness has {given} bytes, the rule needs {needed}; build it for this place",
    "NoMismatch": "the witness proves that the claim is right at {place}; nothing is won",
    "Starved": "call {index} of the multicall ran out of gas, or calls no move; send it again with more gas",
    # Inside an element
    "InsideElement": "game {gameId} is inside an element already; settle it there, or narrow",
    "NotDivided": "the op's domain has {parts} parts; prove the element by a step, which covers it whole",
    "PartialCount": "the answer has {given} bytes, and this node's partial results have {needed}; give one for every child",
    "PartialsDoNotCombine": (
        "the partial results reduce to {value} at position {position}, not to what is in question; compute them again"
    ),
    "NotThisQuestion": "the game stands on {node}, which is not this question; read the game again",
    "NotTheseResults": "the claimant's answer to {node} was another one; take the results from its event",
    "NoSuchChild": "the answer has {count} partial results and none with number {child}; name one of them",
    "WrongLevel": (
        "that can't be said at level {level}; narrow where children stand for many parts, settle a part where they stand for one, "
        "the op's code at level 0"
    ),
    "NoPart": "the op's domain has {count} parts and none with number {number}; prove one of them",
    "TooManyParts": "the op's domain has {count} parts, more than a dispute can name; the program fails the audit",
    # One step
    "WitnessLength(uint256)": "the witness ends in a field or has {surplus} bytes behind its last one; build it again",
    "RunsUnsorted": (
        "run {run} of the witness's leaves does not ascend, or touches the one before; merge and sort the runs"
    ),
    "RootDiffers": (
        "leaves and siblings fold to {given}, the tree's root is {expected}; take them from the disputed trace"
    ),
    "LeafMissing": "the element needs leaf {leaf}, which the witness does not give; build it from the same program",
    "LeavesUnread": "the witness gives {count} leaves that the element does not read; leave them out",
    "NoElement": "element {element} lies behind the end of the output, or of the leaf; name one inside",
    "TreeOrder": (
        "tree {tree} of the witness names access {access}; the trace tree comes first, then constants in order of use"
    ),
    "ModelDiffers": (
        "the descriptor's path folds to {given}, which is not the model id; take it from the claim's program"
    ),
    "NotExecuted": "the descriptor does not execute trace value {value}; take the descriptor of the disputed value",
    "Malformed": (
        "the descriptor breaks its format at byte {position}; the program fails the audit and can't be disputed there"
    ),
    "NoVariable": "the op uses variable {variable}, which does not exist there; the program fails the audit",
    "OperandNotBefore": (
        "the op reads trace value {operand}, which does not come before it; the program fails the audit"
    ),
    "OutsideOperand": "the op reads leaf {leaf}, behind the end of its operand's tree; the program fails the audit",
    "DomainInCode": "the op's code reads along domain coordinate {variable}, outside of the domain; the program fails the audit",
    "NoSuch": (
        "the op's code names register, access or opcode {number}, which does not exist; the program fails the audit"
    ),
    "DescriptorLength": "the descriptor ends elsewhere than its code does; the program fails the audit",
    "IndexCycle": "an access of the op is its own index, directly or through others; the program fails the audit",
    # Positions, trees, time
    "NoPosition": "0 is no position in a tree; name a node by its generalised index",
    "NotBelow": "{below} does not lie below {above}; select a descendant",
    "HashFailed": "the SHA-256 precompile ran out of gas; send the call again with more",
    "LeafLength": "a leaf has {length} bytes where 1,024 belong; pad it with zeros",
    "SiblingCount": "{given} bytes of siblings were given, the path needs {needed}; build the proof for this place",
    "LeavesUnsorted": "leaf indices must ascend, the one at {position} does not; sort them",
    "LeafOutside": "leaf {index} does not lie in a tree of depth {depth}; build the proof for this tree",
    "NoLeaves": "a proof needs at least one leaf, and as many hashes as indices (a complete tree a power of two); build it again",
    "NegativeInterval": "an interval ends at {end}, before its start {start}; report this as a bug",
}

AT_ZERO: Mapping[str, tuple[str, str]] = {
    "WithdrawalNotDue": (
        "due",
        "{account} announced no withdrawal; announce one (touchstone ledger announce), then wait",
    ),
    "SeatHeld": (
        "number",
        "{prover} still has its seat for model {modelId}; give it up first (touchstone stake resign)",
    ),
}
"""Errors whose argument of this name is zero where something else is wrong, and that in words."""
