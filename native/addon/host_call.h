// The memory of one call on typed arrays.
#pragma once
#include <utility>
#include <vector>

#include "addon/arguments.h"

namespace cfgd {

/// Collects what a call reads and writes, and refuses what overlaps: two things that are written, or one that is written
/// and one that is read, unless they are the same elements and the operation works in place.
class HostCall {
 public:
  enum class InPlace { no, yes };

  /// What the call reads. `in_place`: its elements may be exactly those of something written.
  template <class T>
  T* reads(const Span<T>& span, const char* name, InPlace in_place = InPlace::no) {
    for (const Range& out : written_) refuse(out, range_of(span, name), in_place);
    read_.emplace_back(range_of(span, name), in_place);
    return span.data;
  }
  /// What it writes.
  template <class T>
  T* writes(const Span<T>& span, const char* name) {
    const Range range = range_of(span, name);
    for (const Range& out : written_) refuse(range, out, InPlace::no);
    for (const auto& [in, in_place] : read_) refuse(range, in, in_place);
    written_.push_back(range);
    return span.data;
  }

 private:
  struct Range {
    const char *begin, *end;
    int64_t element_bytes;
    const char* name;  // outlives the call's arguments
  };
  template <class T>
  static Range range_of(const Span<T>& span, const char* name) {
    return {span.begin(), span.end(), span.element_bytes, name};
  }
  static void refuse(const Range& out, const Range& other, InPlace in_place) {
    if (!(out.begin < other.end && other.begin < out.end)) return;
    const bool same = out.begin == other.begin && out.end == other.end && out.element_bytes == other.element_bytes;
    if (in_place == InPlace::no)
      fail(CFGD_VALUE, out.name, "expected memory of its own, got an overlap with %s", other.name);
    if (!same)
      fail(CFGD_VALUE, out.name, "expected memory of its own or exactly that of %s, got a partial overlap", other.name);
  }

  std::vector<std::pair<Range, InPlace>> read_;
  std::vector<Range> written_;
};

}  // namespace cfgd
