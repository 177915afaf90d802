// Operations recorded once and replayed as one job.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ops/op.h"
#include "tensor/allocator.h"

namespace cfgd {

class Device;
class Storage;

/// An operation ready to run: its number, its arguments, and the storages whose poison matters.
struct Command {
  Variant op;
  std::vector<std::byte> args;
  std::vector<Block*> inputs;
  std::vector<Block*> outputs;
  // In-place targets keep their old content, unpoisoned, when an input is poisoned or the operation fails: a bad
  // gradient must not cost the weights.
  bool keeps_outputs = false;
};

/// What a command of a program, by its place, writes anew.
struct ProgramWrite {
  uint64_t place;
  Block* block;
};

/// Holds the storages that its commands touch. All of them are on one device.
///
/// What is made while the program is recorded, and let go again, lends its memory to what is made later: replays run in
/// the same order. A recorded pass so needs no more memory than one that is run at once.
class Program {
 public:
  /// The program that this thread is recording, or null.
  static Program* recording();
  static void set_recording(Program* program);

  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  /// Throws CFGD_DEVICE when the device is not that of the commands before.
  void add(Device& device, Command command);
  /// Null as long as there is no command.
  Device* device() const { return device_; }
  const std::vector<Command>& commands() const { return commands_; }
  /// Keeps a storage as long as the program.
  void hold(const std::shared_ptr<Storage>& storage);
  /// A storage for what the program will write: one that nothing outside the program holds any more, or a new one.
  std::shared_ptr<Storage> storage(Device& device, uint64_t bytes);

 private:
  friend class Device;
  void analyse();

  Device* device_ = nullptr;
  std::vector<Command> commands_;
  std::unordered_map<Storage*, std::shared_ptr<Storage>> held_;
  std::unordered_multimap<uint64_t, std::shared_ptr<Storage>> made_;  // by `storage`; by size
  std::unordered_set<Storage*> all_made_;

  // Execution thread only.
  bool analysed_ = false;
  std::vector<Block*> reads_;  // what is read before the program itself has written it
  std::shared_ptr<const std::vector<ProgramWrite>> writes_;
  bool warm_ = false;            // every command has run before
  bool without_graph_ = false;   // recording one failed
  void* graph_ = nullptr;        // of the backend
  uint64_t graph_settings_ = 0;  // Device::settings_ when it was recorded
};

}  // namespace cfgd
