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
constexpr size_t STACK = 256 << 10;  // of a thread, which needs less than a sixth of it

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

// Bytes in front of a level.
size_t offset_of(size_t count, int depth, int height) {
  size_t at = 0;
  for (int h = 0; h < height; h++, count = (count + 1) / 2) at += NODE * slots(count, h == depth);
  return at;
}

uint8_t* level_of(const Job& job, int height) { return job.nodes + offset_of(job.count, job.depth, height); }

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

// Threads that do the same as the one that starts them, and end before this does.
struct Helpers {
  pthread_t others[MOST_THREADS];
  int started = 0;

  // Two of `parts` or more for each of `threads`. What a thread would do that can't be started, the others do.
  Helpers(void* (*doing)(void*), void* given, int threads, size_t parts) {
    const int wanted = threads < MOST_THREADS ? threads : MOST_THREADS;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    while (started < wanted - 1 && 2 * static_cast<size_t>(started + 2) <= parts && pthread_create(&others[started], &small, doing, given) == 0)
      started++;
    pthread_attr_destroy(&small);
  }

  ~Helpers() {
    for (int i = 0; i < started; i++) pthread_join(others[i], nullptr);
  }
};

// Hashes the whole tree and writes its root.
void run(Job& job, int threads, uint8_t* root) {
  const size_t subtrees = ((job.count - 1) >> job.levels) + 1;
  {
    Helpers helpers(work, &job, threads, subtrees);
    work(&job);
  }
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

// Trees that are no larger than a subtree are hashed in blocks of about this many leaves, so that the kernels are full.
constexpr size_t BLOCK = size_t{1} << TENSOR_LEVELS;
constexpr size_t STAGED = 16;  // leaves that are put together before they are hashed

// Many small trees of one depth. The leaves of tree t of kind k are those of the tensor of bytes[k] bytes at data[k] + bytes[k] * t, or, if
// `bytes` is null, the `count` nodes at data[k] + 32 * count * t. Its root goes to roots + 32 * (kinds * t + k).
struct Forest {
  const Way& way;
  size_t trees, kinds;
  const uint8_t* const* data;
  const uint64_t* bytes;
  size_t count;
  int depth;
  const uint8_t* padding;
  uint8_t* roots;
  size_t next;  // block that nobody has taken

  size_t leaves(size_t kind) const { return !bytes ? count : bytes[kind] ? (bytes[kind] - 1) / LEAF + 1 : 1; }
  size_t trees_of_block(size_t kind) const { return leaves(kind) < BLOCK ? BLOCK / leaves(kind) : 1; }
  // Larger trees are left to `run`.
  size_t blocks(size_t kind) const { return leaves(kind) > BLOCK ? 0 : (trees - 1) / trees_of_block(kind) + 1; }
};

// Hashes the leaves of `here` trees from tree `first` on, one tree behind the other.
void forest_leaves(const Forest& forest, size_t kind, size_t first, size_t here, uint8_t* out) {
  const size_t bytes = forest.bytes[kind], count = forest.leaves(kind);
  const uint8_t* data = forest.data[kind] + bytes * first;
  if (bytes == LEAF * count) return forest.way.hash(LEAF_PREFIX, data, here * count, LEAF / 64, out);
  uint8_t staged[STAGED * LEAF];
  size_t held = 0;
  for (size_t tree = 0; tree < here; tree++, data += bytes) {
    for (size_t leaf = 0; leaf < count; leaf++) {
      const size_t left = bytes - LEAF * leaf, size = left < LEAF ? left : LEAF;
      uint8_t* at = staged + LEAF * held++;
      if (size) memcpy(at, data + LEAF * leaf, size);
      memset(at + size, 0, LEAF - size);
      if (held < STAGED && (tree + 1 < here || leaf + 1 < count)) continue;
      forest.way.hash(LEAF_PREFIX, staged, held, LEAF / 64, out);
      out += NODE * held;
      held = 0;
    }
  }
}

void forest_block(const Forest& forest, size_t kind, size_t block) {
  uint8_t nodes[2 * NODE * BLOCK];  // with room for a node more in each tree
  const size_t most = forest.trees_of_block(kind), first = most * block;
  const size_t here = forest.trees - first < most ? forest.trees - first : most;
  size_t count = forest.leaves(kind);
  if (forest.bytes)
    forest_leaves(forest, kind, first, here, nodes);
  else
    memcpy(nodes, forest.data[kind] + NODE * count * first, NODE * count * here);
  for (int height = 0; height < forest.depth; height++) {
    if (count & 1) {
      for (size_t tree = here; tree-- > 0;) {
        uint8_t* to = nodes + NODE * (count + 1) * tree;
        memmove(to, nodes + NODE * count * tree, NODE * count);
        memcpy(to + NODE * count, forest.padding + NODE * height, NODE);
      }
    }
    count = (count + 1) / 2;
    forest.way.hash(NODE_PREFIX, nodes, count * here, 1, nodes);
  }
  for (size_t tree = 0; tree < here; tree++)
    memcpy(forest.roots + NODE * (forest.kinds * (first + tree) + kind), nodes + NODE * tree, NODE);
}

void* work_forest(void* given) {
  Forest& forest = *static_cast<Forest*>(given);
  size_t kind = 0, before = 0;  // blocks of the kinds before this one
  for (;;) {
    const size_t index = __atomic_fetch_add(&forest.next, 1, __ATOMIC_RELAXED);
    while (kind < forest.kinds && index - before >= forest.blocks(kind)) before += forest.blocks(kind++);
    if (kind == forest.kinds) return nullptr;
    forest_block(forest, kind, index - before);
  }
}

// Hashes all trees that fit into blocks.
void run_forest(Forest& forest, int threads) {
  size_t leaves = 0;
  for (size_t kind = 0; kind < forest.kinds; kind++)
    if (forest.blocks(kind)) leaves += forest.trees * forest.leaves(kind);
  Helpers helpers(work_forest, &forest, threads, leaves / BLOCK);
  work_forest(&forest);
}

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

// Hashes the trees of `trees` times `values` tensors: tensor t of value v has the bytes[v] bytes at data[v] + bytes[v] * t, and its root goes
// to roots + 32 * (values * t + v). Returns 0, or -1 if there is no memory.
EXPORTED int touchstone_forest(int way, int threads, uint64_t trees, uint64_t values, const uint8_t* const* data, const uint64_t* bytes, int depth,
                               const uint8_t* padding, uint8_t* roots) {
  Forest forest = {WAYS[way], trees, values, data, bytes, 0, depth, padding, roots, 0};
  run_forest(forest, threads);
  for (size_t value = 0; value < values; value++) {
    for (size_t tree = 0; tree < trees && !forest.blocks(value); tree++) {
      uint8_t* root = roots + NODE * (values * tree + value);
      if (touchstone_tensor(way, threads, data[value] + bytes[value] * tree, bytes[value], depth, padding, nullptr, root)) return -1;
    }
  }
  return 0;
}

// Hashes `trees` trees over `count` nodes each, at least one, which lie one tree behind the other; only their roots are kept. Returns 0, or
// -1 if there is no memory.
EXPORTED int touchstone_joined(int way, int threads, uint64_t trees, uint64_t count, int depth, const uint8_t* padding, const uint8_t* nodes,
                               uint8_t* roots) {
  Forest forest = {WAYS[way], trees, 1, &nodes, nullptr, count, depth, padding, roots, 0};
  if (forest.blocks(0)) {
    run_forest(forest, threads);
    return 0;
  }
  uint8_t* all = static_cast<uint8_t*>(malloc(offset_of(count, depth, depth) + NODE));
  if (!all) return -1;
  for (size_t tree = 0; tree < trees; tree++) {
    memcpy(all, nodes + NODE * count * tree, NODE * count);
    touchstone_levels(way, threads, count, depth, padding, all, roots + NODE * tree);
  }
  free(all);
  return 0;
}
