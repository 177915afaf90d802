// A device: a backend's table of functions, a caching allocator, and an in-order execution queue.
#pragma once
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ops/op.h"
#include "tensor/allocator.h"
#include "tensor/backend.h"
#include "tensor/dtype.h"
#include "tensor/program.h"
#include "tensor/queue.h"
#include "tensor/shape.h"

namespace cfgd {

class Device;

/// Names the calling thread. Threads share devices, but each is told of the failures of its own work alone.
uint64_t this_thread();

/// Device memory with shared ownership; its block goes back to the allocator with the last owner.
class Storage {
 public:
  Storage(Device& device, uint64_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  Device& device() const { return device_; }
  Block* block() const { return block_; }
  /// As asked for; the block may be larger.
  uint64_t bytes() const { return bytes_; }

 private:
  Device& device_;
  uint64_t bytes_;
  Block* block_;
};

/// A dense row-major tensor: a contiguous range of a storage.
struct Tensor {
  std::shared_ptr<Storage> storage;
  uint64_t offset = 0;  // in bytes
  DType dtype = DType::f32;
  Shape shape;

  uint64_t bytes() const { return static_cast<uint64_t>(shape.elements()) * size_of(dtype); }
  Device& device() const { return storage->device(); }
  template <class T = float>
  T* data() const {
    return reinterpret_cast<T*>(static_cast<char*>(storage->block()->data) + offset);
  }
};

class Device {
 public:
  /// The CPU, or a CUDA device by index. Devices are made once per process and never destroyed.
  static Device& cpu();
  static Device& cuda(int index);
  /// How many CUDA devices there are; throws CFGD_DEVICE with the reason when the answer is none.
  static int cuda_count();
  /// Whether cuda(index) has been called before with success.
  static bool cuda_open(int index);
  /// The operations (Variant codes) that the CPU has and the backend has not.
  static std::vector<uint32_t> missing(const cfgd_backend* backend);

  const std::string& name() const { return name_; }
  /// "cpu", "cuda:0", …
  const std::string& id() const { return id_; }
  Allocator& allocator() { return allocator_; }
  const cfgd_backend* backend() const { return backend_; }
  void* handle() const { return handle_; }

  /// For what an operation will write; while a program is recorded, in that program's memory.
  Tensor empty(DType dtype, const Shape& shape);
  /// In memory of its own.
  Tensor lasting(DType dtype, const Shape& shape);
  /// A tensor with this content. `bytes` are copied at the call.
  Tensor upload(DType dtype, const Shape& shape, const void* bytes);
  /// Lets a new tensor begin without the errors of what its memory held before: for one that no operation writes whole.
  void renew(const Tensor& tensor);
  /// Copies `bytes` at the call; the tensor changes when its turn in the queue comes.
  void write(const Tensor& tensor, const void* bytes);

  void submit(Command command);
  void replay(std::shared_ptr<Program> program);
  /// For what is submitted or replayed afterwards; an enum cfgd_option.
  void set_option(uint32_t option, int64_t value);
  /// From any thread: in queue order, after the replays that were enqueued before.
  void destroy_graph(void* graph);
  /// Waits for the queue and returns all cached memory to the system.
  void reclaim();
  /// Runs a job in queue order. Must not throw.
  template <class Job>
  void enqueue(Job job) {
    queue_.push([this, who = this_thread(), job = std::move(job)]() mutable {
      who_ = who;
      job();
    });
  }
  /// Forgets the failures that this thread has not been told of: it ends.
  static void leave();

  // The rest runs in jobs.

  /// Copies the tensor's content to `host`. Returns why the content is not valid, or null.
  std::shared_ptr<const Error> read(const Tensor& tensor, void* host);
  /// Waits for everything that was launched. Returns the first error of the job's thread that it has not been told of
  /// yet, or null.
  std::shared_ptr<const Error> synchronize();
  /// Returns blocks to the system that left the allocator's cache before this job was enqueued.
  void release(const std::vector<Block*>& unused);
  /// Starts a timer, or stops it and sets the milliseconds between. Returns why it could not, or null.
  std::shared_ptr<const Error> timer(int32_t action, double& milliseconds);

 private:
  Device(const cfgd_backend* backend, int index, std::string id, uint64_t memory_limit);

  const cfgd_backend* backend_;
  void* handle_ = nullptr;
  std::string id_, name_;
  Allocator allocator_;
  Queue queue_;

  /// What a launch or an upload has made of a block, while the device may still find out otherwise.
  struct Written {
    uint64_t launch;  // cfgd_status::launch; 0: not by a launch that can still fail
    Block* block;
    std::shared_ptr<const Error> poison;
    std::shared_ptr<const std::vector<ProgramWrite>> replay;  // instead of a block: of a graph, `launch` its first
  };
  void run(const Command& command);
  void run(Program& program);
  bool run_graph(Program& program);
  bool record_graph(Program& program);
  void note(uint64_t launch, Block* block);
  void note(Written written);
  void note_author(uint64_t launch);
  std::shared_ptr<const Error> settle(const cfgd_status& status);
  void remember(uint64_t who, const std::shared_ptr<const Error>& error);

  // Execution thread only.
  uint64_t settings_ = 0;  // changes with every option that is set
  uint64_t who_ = 0;       // the thread whose job runs
  std::map<uint64_t, std::shared_ptr<const Error>> untold_;  // by thread: the first that it has not been told of
  std::vector<Written> written_;  // since the device was last known to have done everything; in order
  std::vector<std::pair<uint64_t, uint64_t>> authors_;  // from which launch on they are of which thread
};

template <class Args>
std::vector<std::byte> bytes_of(const Args& args) {
  static_assert(std::is_trivially_copyable_v<Args>);
  std::vector<std::byte> bytes(sizeof(Args));
  std::memcpy(bytes.data(), &args, sizeof(Args));
  return bytes;
}

}  // namespace cfgd
