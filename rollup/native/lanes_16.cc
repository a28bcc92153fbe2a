// x86-64 with AVX-512 (F and BW): sixteen messages at once.
#include "lanes.h"
#include "x86.h"

namespace {
bool usable() { return Cpu().avx512(); }
}  // namespace

const Kernel lanes_16 = {16, usable, Lanes<Words16>::hash};
