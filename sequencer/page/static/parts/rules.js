// What a conviction found, in words.

export const RULES = {
  step: "an element does not follow from its operands",
  padding: "there are bytes where the tensor has none",
  input: "the trace begins with another input than the claim's",
  output: "the claim's output is not that of its trace",
  timeout: "the claimant did not answer in time",
  part: "a part of a reduction is not what it comes to",
  epilogue: "the op's code makes another element of the reduction's result",
};
