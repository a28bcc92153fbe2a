"""Native kernels for products of integers: exact sums of 16-bit terms, fused with the op's code, called inside compiled programs."""
