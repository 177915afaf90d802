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
#include <utility>
#include <vector>

#include "tensor/backend.h"
#include "tensor/error.h"

namespace cfgd {

/// A piece of device memory. `poison` belongs to the execution thread: the reason why the content is not valid.
struct Block {
  void* data = nullptr;
  uint64_t bytes = 0;
  std::shared_ptr<const Error> poison;
  Block* next = nullptr;  // in the allocator's cache
};

struct MemoryStatistics {
  uint64_t used;      // bytes in live tensors (rounded up to block sizes)
  uint64_t reserved;  // bytes held, the cache included
  uint64_t peak;      // highest `used` since the last reset
};

class Allocator {
 public:
  /// `id` names the device in errors; `limit` as of `set_limit`.
  Allocator(const cfgd_backend* backend, void* device, std::string id, uint64_t limit)
      : backend_(backend), device_(device), id_(std::move(id)), limit_(limit) {}

  /// A block of at least `bytes`; throws CFGD_MEMORY, naming the size, what is in use and the limit, when there is none.
  Block* acquire(uint64_t bytes);
  /// Allocates nothing: it comes from destructors.
  void give_back(Block* block) noexcept;
  /// Empties the cache. Operations enqueued before may still use these blocks; none enqueued later does.
  std::vector<Block*> take_unused();
  /// Returns blocks that nothing uses any more to the system.
  void release(const std::vector<Block*>& blocks);
  MemoryStatistics statistics();
  void reset_peak();
  /// Upper bound of `reserved` in bytes; UINT64_MAX: none.
  void set_limit(uint64_t bytes);

 private:
  const cfgd_backend* backend_;
  void* device_;
  std::string id_;
  std::mutex mutex_;
  std::map<uint64_t, Block*> cache_;  // by size: the first of the unused blocks; of every size that was ever asked for
  uint64_t used_ = 0, reserved_ = 0, peak_ = 0, limit_;
};

}  // namespace cfgd
