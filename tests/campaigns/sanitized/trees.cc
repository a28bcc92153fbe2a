// Hashes the trees that stdin asks for, each from memory that ends where its data end, and writes their nodes to stdout.
// trees.py compiles it together with rollup/native/, runs it and knows what must come out.
//
// A line asks: way threads bytes start depth given. `given` is 0 for a tensor of that many bytes, 1 for a tree over so many bytes of
// leaves' hashes. The data are made bytes, from number `start` on, and begin `start` % 64 bytes behind an aligned place.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
const char* touchstone_way(int way);
int touchstone_usable(int way);
int touchstone_tensor(int way, int threads, const uint8_t* data, uint64_t bytes, int depth, const uint8_t* padding, uint8_t* nodes, uint8_t* root);
void touchstone_levels(int way, int threads, uint64_t count, int depth, const uint8_t* padding, uint8_t* nodes, uint8_t* root);
int touchstone_forest(int way, int threads, uint64_t trees, uint64_t values, const uint8_t* const* data, const uint64_t* bytes, int depth,
                      const uint8_t* padding, uint8_t* roots);
int touchstone_joined(int way, int threads, uint64_t trees, uint64_t count, int depth, const uint8_t* padding, const uint8_t* nodes, uint8_t* roots);
}

static uint8_t made(uint64_t i) { return static_cast<uint8_t>(static_cast<uint32_t>(i) * 2654435761u >> 13); }

static size_t nodes_of(size_t count, int depth) {
  size_t all = 0;
  for (int height = 0; height <= depth; height++, count = (count + 1) / 2) all += count + (height < depth && count % 2);
  return all;
}

static int way_of(const char* name) {
  for (int way = 0; touchstone_way(way); way++)
    if (!strcmp(touchstone_way(way), name)) return touchstone_usable(way) ? way : -1;
  return -1;
}

// Whether the tree is also found among others: the same data TREES times, as two values or as joined leaves, from memory that ends with them.
static bool found_in_forests(int way, int threads, const uint8_t* data, size_t bytes, int depth, const uint8_t* padding, bool joined,
                             const uint8_t* root) {
  constexpr size_t TREES = 7;
  uint8_t* memory = static_cast<uint8_t*>(malloc(TREES * bytes));
  for (size_t tree = 0; tree < TREES && bytes; tree++) memcpy(memory + tree * bytes, data, bytes);
  uint8_t roots[2 * TREES * 32];
  const uint8_t* const values[2] = {memory, memory};
  const uint64_t sizes[2] = {bytes, bytes};
  const int failed = joined ? touchstone_joined(way, threads, TREES, bytes / 32, depth, padding, memory, roots)
                            : touchstone_forest(way, threads, TREES, 2, values, sizes, depth, padding, roots);
  bool same = !failed;
  for (size_t at = 0; at < (joined ? 1 : 2) * TREES; at++) same = same && !memcmp(roots + 32 * at, root, 32);
  free(memory);
  return same;
}

int main(int count, char**) {
  if (count > 1) {  // with any argument it only says which ways there are
    for (int way = 0; touchstone_way(way); way++)
      if (touchstone_usable(way)) puts(touchstone_way(way));
    return 0;
  }
  char name[64];
  int threads, depth, given;
  size_t bytes, start;
  while (scanf("%63s %d %zu %zu %d %d", name, &threads, &bytes, &start, &depth, &given) == 6) {
    const int way = way_of(name);
    if (way < 0) return 2;
    uint8_t* padding = static_cast<uint8_t*>(malloc(32 * depth + 1));
    for (int height = 0; height < depth; height++) touchstone_tensor(way, 1, nullptr, 0, height, padding, nullptr, padding + 32 * height);
    const size_t leaves = given ? bytes / 32 : bytes ? (bytes - 1) / 1024 + 1 : 1, size = 32 * nodes_of(leaves, depth);
    uint8_t* nodes = static_cast<uint8_t*>(malloc(size));
    uint8_t root[32], again[32];
    if (given) {
      uint8_t* memory = static_cast<uint8_t*>(malloc(bytes));
      for (size_t i = 0; i < bytes; i++) memory[i] = nodes[i] = made(start + i);
      touchstone_levels(way, threads, leaves, depth, padding, nodes, root);
      memcpy(again, root, 32);
      if (!found_in_forests(way, threads, memory, bytes, depth, padding, true, root)) return 5;
      free(memory);
    } else {
      uint8_t* memory = static_cast<uint8_t*>(malloc(start % 64 + bytes));
      for (size_t i = 0; i < bytes; i++) memory[start % 64 + i] = made(start + i);
      if (touchstone_tensor(way, threads, memory + start % 64, bytes, depth, padding, nodes, root)) return 3;
      if (touchstone_tensor(way, threads, memory + start % 64, bytes, depth, padding, nullptr, again)) return 3;
      if (!found_in_forests(way, threads, memory + start % 64, bytes, depth, padding, false, root)) return 5;
      free(memory);
    }
    if (memcmp(root, again, 32) || memcmp(root, nodes + size - 32, 32)) return 4;
    fwrite(nodes, 1, size, stdout);
    free(nodes);
    free(padding);
  }
  return 0;
}
