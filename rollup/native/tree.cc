// Trees of tensors: what rollup/native/hashing.py calls. docs/formats.md, *Commitments*, has the encoding.
//
// Nodes lie level by level, the leaves' hashes first. A level of n nodes has room for n + 1 if n is odd and a level follows: its padding.
#include <pthread.h>
#include <stdlib.h>

#include "kernels.h"

namespace {

// How messages are hashed: by one kernel, and by another where too few are left to fill the first.
struct Way {
  const char* name;
  const Kernel& most;
  const Kernel& rest;

  void hash(uint8_t prefix, const uint8_t* data, size_t count, size_t blocks, uint8_t* out) const {
    const size_t full = count - count % most.width;
    if (full) most.hash(prefix, data, full, blocks, out);
    if (full < count) rest.hash(prefix, data + 64 * blocks * full, count - full, blocks, out + 32 * full);
  }
};

// The best first; the last is always usable.
const Way WAYS[] = {
#if defined(__x86_64__)
    {"avx512+sha-ni", lanes_16, sha_x86},
    {"sha-ni", sha_x86, sha_x86},
    {"avx512", lanes_16, lanes_16},
    {"avx2", lanes_8, lanes_8},
#elif defined(__aarch64__)
    {"armv8-sha2", sha_arm, sha_arm},
#endif
    {"portable", lanes_4, lanes_4}};
constexpr int WAY_COUNT = sizeof(WAYS) / sizeof(WAYS[0]);

constexpr size_t LEAF = 1024, NODE = 32;
constexpr uint8_t LEAF_PREFIX = 0, NODE_PREFIX = 1;

// Levels of the subtrees that threads take one by one: 256 KiB of a tensor, or as many nodes.
constexpr int TENSOR_LEVELS = 8, NODE_LEVELS = 13;
constexpr int MOST_THREADS = 64;
constexpr size_t STACK = 256 << 10;  // of a thread, which needs less than a tenth of it

struct Job {
  const Way& way;
  const uint8_t* data;     // a tensor, or null where the lowest level is given in `nodes`
  size_t bytes;            // of the tensor
  size_t count;            // leaves, at least 1
  int depth;               // levels above the leaves
  const uint8_t* padding;  // 32 bytes for each level below the root
  uint8_t* nodes;          // all levels, or null where only the root is asked for
  int levels;              // of a subtree
  uint8_t* tops;           // where the roots of the subtrees go; room for one more
  size_t next;             // subtree that nobody has taken
};

size_t slots(size_t count, bool top) { return top ? count : count + (count & 1); }

uint8_t* level_of(const Job& job, int height) {
  uint8_t* at = job.nodes;
  size_t count = job.count;
  for (int h = 0; h < height; h++, count = (count + 1) / 2) at += NODE * slots(count, h == job.depth);
  return at;
}

// Hashes `here` leaves from leaf `first` on.
void hash_leaves(const Job& job, size_t first, size_t here, uint8_t* out) {
  const uint8_t* data = job.data + LEAF * first;
  const size_t left = job.bytes - LEAF * first, whole = left / LEAF < here ? left / LEAF : here;
  job.way.hash(LEAF_PREFIX, data, whole, LEAF / 64, out);
  if (whole < here) {
    uint8_t last[LEAF] = {};
    if (left > LEAF * whole) memcpy(last, data + LEAF * whole, left - LEAF * whole);
    job.way.hash(LEAF_PREFIX, last, 1, LEAF / 64, out + NODE * whole);
  }
}

// Hashes the level above `count` nodes, which are padded where their number is odd; returns the number of nodes there.
size_t hash_level(const Job& job, int height, uint8_t* below, size_t count, uint8_t* above) {
  if (count & 1) memcpy(below + NODE * count, job.padding + NODE * height, NODE);
  count = (count + 1) / 2;
  job.way.hash(NODE_PREFIX, below, count, 1, above);
  return count;
}

void hash_subtree(const Job& job, size_t index) {
  uint8_t scratch[NODE << TENSOR_LEVELS];
  const size_t first = index << job.levels;
  size_t count = job.count - first < size_t{1} << job.levels ? job.count - first : size_t{1} << job.levels;
  uint8_t* below = job.nodes ? level_of(job, 0) + NODE * first : scratch;
  if (job.data) hash_leaves(job, first, count, below);
  for (int height = 0; height < job.levels; height++) {
    uint8_t* above = job.nodes ? level_of(job, height + 1) + NODE * (first >> (height + 1)) : scratch;
    count = hash_level(job, height, below, count, above);
    below = above;
  }
  if (!job.nodes) memcpy(job.tops + NODE * index, scratch, NODE);
}

void* work(void* given) {
  Job& job = *static_cast<Job*>(given);
  const size_t subtrees = ((job.count - 1) >> job.levels) + 1;
  for (;;) {
    const size_t index = __atomic_fetch_add(&job.next, 1, __ATOMIC_RELAXED);
    if (index >= subtrees) return nullptr;
    hash_subtree(job, index);
  }
}

// Hashes the whole tree and writes its root.
void run(Job& job, int threads, uint8_t* root) {
  const size_t subtrees = ((job.count - 1) >> job.levels) + 1;
  pthread_t others[MOST_THREADS];
  int started = 0;
  const int wanted = threads < MOST_THREADS ? threads : MOST_THREADS;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, STACK);
  // Two subtrees or more for each. What a thread would do that can't be started, the others do.
  while (started < wanted - 1 && 2 * static_cast<size_t>(started + 2) <= subtrees && pthread_create(&others[started], &small, work, &job) == 0)
    started++;
  pthread_attr_destroy(&small);
  work(&job);
  for (int i = 0; i < started; i++) pthread_join(others[i], nullptr);
  size_t count = subtrees;
  uint8_t* below = job.tops;
  for (int height = job.levels; height < job.depth; height++) {
    uint8_t* above = job.nodes ? below + NODE * slots(count, false) : below;
    count = hash_level(job, height, below, count, above);
    below = above;
  }
  memcpy(root, below, NODE);
}

int smaller(int a, int b) { return a < b ? a : b; }

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

// What this object was built from (rollup/native/build.py).
EXPORTED const char* touchstone_sources() { return TOUCHSTONE_SOURCES; }

// Name of a way to hash, the best first; null behind the last.
EXPORTED const char* touchstone_way(int way) { return way < WAY_COUNT ? WAYS[way].name : nullptr; }

// Whether this processor has what it needs.
EXPORTED int touchstone_usable(int way) { return WAYS[way].most.usable() && WAYS[way].rest.usable(); }

// Hashes a tensor's tree. `nodes` is null, or has room for all levels. Returns 0, or -1 if there is no memory.
EXPORTED int touchstone_tensor(int way, int threads, const uint8_t* data, uint64_t bytes, int depth, const uint8_t* padding, uint8_t* nodes,
                               uint8_t* root) {
  const size_t count = bytes ? (bytes - 1) / LEAF + 1 : 1;
  Job job = {WAYS[way], bytes ? data : root, bytes, count, depth, padding, nodes, smaller(depth, TENSOR_LEVELS), nullptr, 0};
  job.tops = nodes ? level_of(job, job.levels) : static_cast<uint8_t*>(malloc(NODE * (((count - 1) >> job.levels) + 2)));
  if (!job.tops) return -1;
  run(job, threads, root);
  if (!nodes) free(job.tops);
  return 0;
}

// Hashes the levels above the `count` nodes at `nodes`, at least one.
EXPORTED void touchstone_levels(int way, int threads, uint64_t count, int depth, const uint8_t* padding, uint8_t* nodes, uint8_t* root) {
  Job job = {WAYS[way], nullptr, 0, count, depth, padding, nodes, smaller(depth, NODE_LEVELS), nullptr, 0};
  job.tops = level_of(job, job.levels);
  run(job, threads, root);
}
