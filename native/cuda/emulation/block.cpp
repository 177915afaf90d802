#include "cuda/emulation/block.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "cuda/emulation/fiber.h"

namespace cfgd::emulation {
namespace {

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
  unsigned group;
};

struct Thread {
  Fiber fiber;
  dim3 index;
  unsigned linear = 0;
  Thread* next = nullptr;  // in the order of this block
  bool done = false;
  std::deque<Copy> copies;
  unsigned group = 0;  // that copies are started into
};

/// A meeting point: the generation goes up when everybody has arrived.
struct Barrier {
  unsigned arrived = 0;
  uint64_t generation = 0;
};

struct Warp {
  Barrier barrier;
  unsigned alive = 0;
  uint64_t slots[2][kWarpSize];
  unsigned parity[kWarpSize];
};

struct Block {
  Shape shape;
  const std::function<void()>* body = nullptr;
  dim3 index;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<unsigned> order;
  std::vector<uint64_t> shared;  // a multiple of 8 bytes, aligned by hand to 128
  Stacks stacks;
  Fiber home;
  Thread* running = nullptr;
  Barrier barrier;
  unsigned place = 0;  // the line of the block barrier that is being waited at
  unsigned alive = 0;
  uint64_t fruitless = 0;  // switches since something last moved
  const char* failure = nullptr;
};

Block* current = nullptr;

Block& block() { return *current; }

void go_on(Block& b, Thread* to) {
  Fiber& from = b.running ? b.running->fiber : b.home;
  b.running = to;
  switch_to(from, to ? to->fiber : b.home);
}

/// Leaves the block where it is; its threads never run again.
void give_up(Block& b, const char* why) {
  b.failure = why;
  for (;;) go_on(b, nullptr);
}

Thread* next_alive(Thread* from) {
  Thread* candidate = from->next;
  while (candidate != from && candidate->done) candidate = candidate->next;
  return candidate->done ? nullptr : candidate;
}

void wait(Block& b, const Barrier& barrier) {
  const uint64_t mine = barrier.generation;
  while (barrier.generation == mine) {
    if (++b.fruitless > 4 * b.threads.size() + 64)
      give_up(b, "a barrier or warp operation was not reached by every thread");
    Thread* to = next_alive(b.running);
    if (to != b.running) go_on(b, to);
  }
}

void open(Block& b, Barrier& barrier) {
  barrier.arrived = 0;
  barrier.generation++;
  b.fruitless = 0;
}

void leave(Block& b) {
  Thread* me = b.running;
  me->done = true;
  b.fruitless = 0;
  b.alive--;
  b.warps[me->linear / kWarpSize].alive--;
  // As on a device, threads that have returned do not hold up a barrier of the block.
  if (b.alive && b.barrier.arrived == b.alive) open(b, b.barrier);
  go_on(b, next_alive(me));
}

void enter() {
  Block& b = block();
  (*b.body)();
  for (;;) leave(b);  // which comes back from nowhere: the thread is not resumed
}

void run_block(Block& b) {
  const unsigned count = static_cast<unsigned>(b.threads.size());
  b.alive = count;
  b.barrier = {};
  b.fruitless = 0;
  b.failure = nullptr;
  std::fill(b.shared.begin(), b.shared.end(), 0xA5A5A5A5A5A5A5A5u);  // not zero: shared memory starts undefined
  for (unsigned w = 0; w < b.warps.size(); w++) {
    b.warps[w] = {};
    b.warps[w].alive = std::min(kWarpSize, count - w * kWarpSize);
  }
  for (unsigned i = 0; i < count; i++) {
    Thread& thread = b.threads[i];
    thread.linear = i;
    thread.index = {i % b.shape.block.x, i / b.shape.block.x % b.shape.block.y, i / (b.shape.block.x * b.shape.block.y)};
    thread.done = false;
    thread.copies.clear();
    thread.group = 0;
    prepare(thread.fiber, b.stacks.bottom(i), b.stacks.top(i), enter);
  }
  for (unsigned i = 0; i < count; i++) b.threads[b.order[i]].next = &b.threads[b.order[(i + 1) % count]];
  go_on(b, &b.threads[b.order[0]]);
  b.running = nullptr;
  if (b.failure) throw LaunchFailure(b.failure);
}

}  // namespace

Order order_of_environment() {
  const char* name = std::getenv("CFGDISTILL_EMULATION_ORDER");
  if (!name || !*name || std::string(name) == "forward") return Order::forward;
  if (std::string(name) == "reverse") return Order::reverse;
  if (std::string(name) == "shuffled") return Order::shuffled;
  throw LaunchFailure("CFGDISTILL_EMULATION_ORDER is none of forward, reverse and shuffled");
}

void run_grid(const Shape& shape, Order order, const std::function<void()>& body) {
  if (!current) current = new Block();
  Block& b = *current;
  const unsigned count = shape.block.x * shape.block.y * shape.block.z;
  b.shape = shape;
  b.body = &body;
  b.threads.resize(count);
  b.warps.resize((count + kWarpSize - 1) / kWarpSize);
  b.shared.resize((shape.dynamic_shared + 127) / 8 + 16);
  b.stacks.reserve(count);
  b.order.resize(count);
  for (unsigned i = 0; i < count; i++) b.order[i] = order == Order::reverse ? count - 1 - i : i;
  std::mt19937 random(1);
  for (unsigned z = 0; z < shape.grid.z; z++)
    for (unsigned y = 0; y < shape.grid.y; y++)
      for (unsigned x = 0; x < shape.grid.x; x++) {
        if (order == Order::shuffled) std::shuffle(b.order.begin(), b.order.end(), random);
        b.index = {x, y, z};
        run_block(b);
      }
}

dim3 thread_index() { return block().running->index; }
dim3 block_index() { return block().index; }
dim3 block_shape() { return block().shape.block; }
dim3 grid_shape() { return block().shape.grid; }

void* dynamic_shared() {
  const uintptr_t address = reinterpret_cast<uintptr_t>(block().shared.data());
  return reinterpret_cast<void*>((address + 127) / 128 * 128);
}

void start_copy(void* to, const void* from, size_t bytes) {
  Thread& me = *block().running;
  me.copies.push_back({to, from, bytes, me.group});
}
void commit_copies() { block().running->group++; }
void wait_copies(unsigned newest) {
  Thread& me = *block().running;
  for (; !me.copies.empty() && me.copies.front().group + newest < me.group; me.copies.pop_front()) {
    const Copy& copy = me.copies.front();
    if (copy.from)
      std::memcpy(copy.to, copy.from, copy.bytes);
    else
      std::memset(copy.to, 0, copy.bytes);
  }
}

void block_barrier(const std::source_location& place) {
  Block& b = block();
  if (b.barrier.arrived == 0)
    b.place = place.line();
  else if (b.place != place.line())
    give_up(b, "the threads of a block wait at different barriers");
  if (++b.barrier.arrived == b.alive) return open(b, b.barrier);
  wait(b, b.barrier);
}

void warp_barrier(unsigned mask) {
  Block& b = block();
  if (mask != ~0u) give_up(b, "a warp operation on part of a warp, which is not emulated");
  Warp& warp = b.warps[b.running->linear / kWarpSize];
  if (++warp.barrier.arrived == warp.alive) return open(b, warp.barrier);
  wait(b, warp.barrier);
}

WarpExchange warp_exchange() {
  Block& b = block();
  Warp& warp = b.warps[b.running->linear / kWarpSize];
  const unsigned lane = b.running->linear % kWarpSize;
  const unsigned parity = warp.parity[lane] ^= 1;
  return {&warp.slots[parity][lane], warp.slots[parity], lane};
}

}  // namespace cfgd::emulation
