// One CUDA grid on one CPU thread: a fiber for every thread of a block, the blocks one after another.
//
// A barrier or a warp operation passes control on to the next thread in a chosen order. A kernel whose result depends
// on that order lacks a barrier; a barrier that some threads do not reach, or reach at another place of the program,
// is a LaunchFailure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <stdexcept>

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace cfgd::emulation {

constexpr unsigned kWarpSize = 32;
constexpr unsigned kMaxThreads = 1024;

/// The order in which the threads of a block run between two barriers.
enum class Order { forward, reverse, shuffled };

/// From CFGDISTILL_EMULATION_ORDER: forward (the default), reverse or shuffled. Throws LaunchFailure for another value.
Order order_of_environment();

class LaunchFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Shape {
  dim3 grid, block;
  size_t dynamic_shared;  // in bytes
};

/// Runs `body` once for every thread of the grid. Throws LaunchFailure when a block cannot go on. One grid at a time
/// runs in a process: the caller sees to that.
void run_grid(const Shape& shape, Order order, const std::function<void()>& body);

// What a kernel sees. Valid only inside a body that run_grid runs.
dim3 thread_index();
dim3 block_index();
dim3 block_shape();
dim3 grid_shape();
void* dynamic_shared();
void block_barrier(const std::source_location& place);
void warp_barrier(unsigned mask);

// Copies of the running thread that arrive only when it waits for them: all but the latest `newest` groups. Zeros are
// copied from null.
void start_copy(void* to, const void* from, size_t bytes);
void commit_copies();
void wait_copies(unsigned newest);

/// Where the lanes of a warp leave values for each other: two sets, so that a lane that runs ahead into the next
/// exchange does not overwrite what another has yet to read.
struct WarpExchange {
  uint64_t* mine;
  const uint64_t* all;
  unsigned lane;
};
WarpExchange warp_exchange();

/// The value of lane `source` of the warp.
template <class T>
T shuffle(unsigned mask, T value, unsigned (*source)(unsigned lane, int by), int by) {
  static_assert(sizeof(T) <= 8);
  const WarpExchange exchange = warp_exchange();
  std::memcpy(exchange.mine, &value, sizeof value);
  warp_barrier(mask);
  T result;
  std::memcpy(&result, &exchange.all[source(exchange.lane, by)], sizeof result);
  return result;
}

}  // namespace cfgd::emulation
