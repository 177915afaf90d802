// Caching allocator of one device.
//
// A freed block goes back to the cache at once, although queued operations may still use it: the queue is in order, so
// whatever is enqueued on the block's next owner runs after them. Memory therefore follows the program's own lifetimes
// and not how far the queue lags behind.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tensor/backend.h"
#include "tensor/error.h"

namespace cfgd {

/// A piece of device memory. `poison` belongs to the execution thread: the reason why the content is not valid.
struct Block {
  void* data = nullptr;
  uint64_t bytes = 0;
  std::shared_ptr<const Error> poison;
};

struct MemoryStatistics {
  uint64_t used;      // bytes in live tensors (rounded up to block sizes)
  uint64_t reserved;  // bytes held, the cache included
  uint64_t peak;      // highest `used` since the last reset
};

class Allocator {
 public:
  Allocator(const cfgd_backend* backend, void* device) : backend_(backend), device_(device) {}

  /// A block of at least `bytes`; throws CFGD_MEMORY, naming the size, when there is none.
  Block* acquire(uint64_t bytes);
  void give_back(Block* block);
  /// Empties the cache. Operations enqueued before may still use these blocks; none enqueued later does.
  std::vector<Block*> take_unused();
  /// Returns blocks that nothing uses any more to the system.
  void release(const std::vector<Block*>& blocks);
  MemoryStatistics statistics();
  void reset_peak();
  /// Upper bound of `reserved` in bytes.
  void set_limit(uint64_t bytes);

 private:
  const cfgd_backend* backend_;
  void* device_;
  std::mutex mutex_;
  std::map<uint64_t, std::vector<Block*>> cache_;
  uint64_t used_ = 0, reserved_ = 0, peak_ = 0, limit_ = UINT64_MAX;
};

}  // namespace cfgd
