// What a device must be able to do, as a table of C functions, so that a backend can live in a library of its own
// (libcfgdistill_cuda.so) built by another compiler: no C++ type and no exception crosses this line. The CPU
// implements the same table inside the addon.
//
// All calls for one device come from one thread, its execution queue, except `allocate` and `release`, which may come
// from any thread and must be safe to call at the same time as the others.
#pragma once
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#define CFGD_BACKEND_ABI 3u

enum cfgd_code {
  CFGD_OK = 0,
  CFGD_SHAPE = 1,
  CFGD_DTYPE = 2,
  CFGD_VALUE = 3,
  CFGD_DEVICE = 4,
  CFGD_MEMORY = 5,
  CFGD_CHECKPOINT = 6,
};

enum cfgd_direction { CFGD_TO_DEVICE = 0, CFGD_TO_HOST = 1, CFGD_ON_DEVICE = 2 };

enum cfgd_option {
  /// 1: matrix products of float32 may round their factors to TensorFloat-32 (10 bits of mantissa). 0, the default: not.
  CFGD_OPTION_TF32 = 0,
};

enum cfgd_timer { CFGD_TIMER_START = 0, CFGD_TIMER_STOP = 1 };

/// Filled by a call that fails; `argument` is the name of the argument at fault, "" when there is none.
///
/// `launch` is for a backend whose `launch` returns before the work is done, which numbers its launches from 1 upwards.
/// A successful `launch` sets it to its number, a successful `launch_graph` to the number of its first operation; those
/// that follow in the graph have the numbers that follow. A `copy` to the host or a `synchronize` that finds out that an earlier
/// launch has failed sets it to the number of that launch, whose fault is thereby reported; the copy is done
/// nevertheless. What was launched after the failing launch and before the report was not run and changed nothing.
/// 0 otherwise.
typedef struct cfgd_status {
  int32_t code;
  char argument[32];
  char message[640];
  uint64_t launch;
} cfgd_status;

typedef struct cfgd_backend {
  uint32_t abi;    // CFGD_BACKEND_ABI of the library
  uint32_t bytes;  // sizeof(cfgd_backend) of the library
  int32_t (*device_count)(int32_t* count, cfgd_status* status);
  int32_t (*open)(int32_t index, void** device, cfgd_status* status);
  void (*close)(void* device);
  /// Writes a human-readable name of the device, cut to `bytes` with its terminating zero.
  void (*describe)(void* device, char* name, uint32_t bytes);
  /// 64-byte aligned memory, or null with `status` filled.
  void* (*allocate)(void* device, uint64_t bytes, cfgd_status* status);
  void (*release)(void* device, void* memory);
  /// In order with `launch`; on return the host side of the copy may be reused.
  int32_t (*copy)(void* device, void* to, const void* from, uint64_t bytes, int32_t direction, cfgd_status* status);
  /// Runs one operation, by the code of its Variant (ops/op.h), on its plain-data arguments. May return before the work
  /// is done.
  int32_t (*launch)(void* device, uint32_t op, const void* args, uint32_t bytes, cfgd_status* status);
  int32_t (*synchronize)(void* device, cfgd_status* status);

  /// Whether there is a kernel for the operation of this code. From any thread, and without any device.
  int32_t (*supports)(uint32_t op);
  /// Graphs: from `begin_graph` to `end_graph` operations that are launched are recorded and not run; nothing but `launch`
  /// may be called in between. `end_graph` makes of them what `launch_graph` runs at once, as if they were launched one
  /// after another; with a null `graph` it forgets them. All four null: the backend has no graphs.
  int32_t (*begin_graph)(void* device, cfgd_status* status);
  int32_t (*end_graph)(void* device, void** graph, cfgd_status* status);
  int32_t (*launch_graph)(void* device, void* graph, cfgd_status* status);
  void (*destroy_graph)(void* device, void* graph);
  /// Holds for what is launched afterwards; graphs keep what held when they were recorded.
  int32_t (*set_option)(void* device, uint32_t option, int64_t value, cfgd_status* status);
  /// Sets `*milliseconds` at the stop: from when the device came to the start until it came to the stop.
  int32_t (*timer)(void* device, int32_t action, double* milliseconds, cfgd_status* status);
  /// Writes a JSON object of what the backend finds on the machine (versions, devices, what is wrong), cut to `bytes`
  /// with its terminating zero. From any thread, and without any device.
  void (*report)(char* json, uint32_t bytes);
} cfgd_backend;

/// The one symbol of a backend library, `cfgd_backend_entry`: its table, or null if it does not speak this ABI.
typedef const cfgd_backend* (*cfgd_backend_entry_function)(uint32_t abi);

/// Fills a status and returns its code. The message becomes "argument: text" (just the text without an argument).
__attribute__((format(printf, 4, 5))) static inline int32_t cfgd_fail(cfgd_status* status, int32_t code,
                                                                      const char* argument, const char* format, ...) {
  status->code = code;
  snprintf(status->argument, sizeof status->argument, "%s", argument);
  int used = argument[0] ? snprintf(status->message, sizeof status->message, "%s: ", argument) : 0;
  va_list list;
  va_start(list, format);
  vsnprintf(status->message + used, sizeof status->message - used, format, list);
  va_end(list);
  return code;
}
