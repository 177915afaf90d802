// The one exception type of the native core. The addon turns it into the JavaScript class of its code.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include "tensor/backend.h"

namespace cfgd {

class Error : public std::exception {
 public:
  Error(int32_t code, std::string argument, std::string message)
      : code_(code), argument_(std::move(argument)), message_(std::move(message)) {}
  explicit Error(const cfgd_status& status) : Error(status.code, status.argument, status.message) {}

  int32_t code() const { return code_; }
  const std::string& argument() const { return argument_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  int32_t code_;
  std::string argument_;
  std::string message_;
};

/// Throws an Error whose message is "argument: " and the formatted rest.
[[noreturn]] __attribute__((format(printf, 3, 4))) inline void fail(int32_t code, const char* argument,
                                                                    const char* format, ...) {
  char text[512];
  va_list list;
  va_start(list, format);
  std::vsnprintf(text, sizeof text, format, list);
  va_end(list);
  throw Error(code, argument, std::string(argument) + ": " + text);
}

}  // namespace cfgd
