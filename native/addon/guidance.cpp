#include "ops/guidance/guidance.h"

#include "addon/arguments.h"
#include "addon/families.h"
#include "addon/host_call.h"

namespace cfgd {
namespace {

DrawOptions draw_options(const Napi::Value& temperature, const Napi::Value& top_k, const Napi::Value& top_p,
                         const Napi::Value& seed) {
  DrawOptions draw{1, 0, 1, seed_of(seed, "seed")};
  draw.temperature = finite_of(temperature, "temperature");
  if (draw.temperature < 0) fail(CFGD_VALUE, "temperature", "expected at least 0, got %g", draw.temperature);
  if (draw.temperature > 0 && draw.temperature < kLeastTemperature) draw.temperature = kLeastTemperature;
  if (!is_absent(top_k)) draw.top_k = static_cast<int32_t>(integer_of(top_k, "topK", 1, INT32_MAX));
  if (!is_absent(top_p)) {
    const double p = number_of(top_p, "topP");
    if (!(p > 0 && p <= 1)) fail(CFGD_VALUE, "topP", "expected more than 0 and at most 1, got %g", p);
    draw.top_p = p;
  }
  return draw;
}

/// Words from a row's mask to the next one's in a mask of one row for all, or of one each.
int64_t mask_step(int64_t length, int64_t rows, int64_t vocab) {
  const int64_t words = mask_words(vocab);
  if (length == words) return 0;
  if (length != rows * words)
    fail(CFGD_SHAPE, "allowed", "expected [rows, words] = [%lld, %lld] or [words] = [%lld], got %lld elements",
         static_cast<long long>(rows), static_cast<long long>(words), static_cast<long long>(words),
         static_cast<long long>(length));
  return words;
}

// (cond, uncond, scale: number | Float32Array, vocab, out, dtype): typed arrays, now.
Napi::Value guided_logits_now(const Napi::CallbackInfo& info) {
  GuidedLogitsArgs args{};
  args.vocab = integer_of(info[3], "vocab", 1, INT32_MAX);
  const DType dtype = host_dtype_of(info[5], "dtype");
  const Span<float> cond = host_elements_of(info[0], "cond", dtype);
  args.rows = rows_of(cond.length, args.vocab, "cond");
  HostCall call;
  args.cond = call.reads(cond, "cond", HostCall::InPlace::yes);
  args.uncond =
      call.reads(host_elements_of(info[1], "uncond", dtype, cond.length), "uncond", HostCall::InPlace::yes);
  if (info[2].IsNumber())
    args.scale = finite_of(info[2], "scale");
  else
    args.scales = call.reads(floats_of(info[2], "scale", args.rows), "scale");
  args.out = call.writes(host_elements_of(info[4], "out", dtype, cond.length), "out");
  run_now({Op::guided_logits, dtype}, bytes_of(args));
  return info[4];
}

// (cond, uncond, scale: number | tensor [rows]): tensors [rows, vocab] of float32 or bfloat16.
Napi::Value guided_logits(const Napi::CallbackInfo& info) {
  GuidedLogitsArgs args{};
  const Tensor& cond = elements_of(info[0], "cond", {-1, -1});
  args.rows = cond.shape[0];
  args.vocab = vocab_of(cond, "cond");
  const Tensor& uncond = tensor_of(info[1], "uncond", cond.dtype, {args.rows, args.vocab});
  expect_same_device(cond, "cond", uncond, "uncond");
  std::vector<const Tensor*> inputs = {&cond, &uncond};
  if (info[2].IsNumber()) {
    args.scale = finite_of(info[2], "scale");
  } else {
    const Tensor& scales = tensor_of(info[2], "scale", DType::f32, {args.rows});
    args.scales = scales.data();
    inputs.push_back(&scales);
  }
  Tensor out = cond.device().empty(cond.dtype, cond.shape);
  args.cond = cond.data();
  args.uncond = uncond.data();
  args.out = out.data();
  submit(info.Env(), {Op::guided_logits, cond.dtype}, bytes_of(args), inputs, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (cond, uncond | null, scale, vocab, temperature, topK, topP, seed, offset: number | Int32Array, tokens, logProbs,
//  dtype, allowed: Uint32Array | undefined)
Napi::Value sample_guided_now(const Napi::CallbackInfo& info) {
  SampleGuidedArgs args{};
  args.vocab = integer_of(info[3], "vocab", 1, INT32_MAX);
  const DType dtype = host_dtype_of(info[11], "dtype");
  const Span<float> cond = host_elements_of(info[0], "cond", dtype);
  args.rows = rows_of(cond.length, args.vocab, "cond");
  HostCall call;
  args.cond = call.reads(cond, "cond");
  if (!is_absent(info[1]))
    args.uncond = call.reads(host_elements_of(info[1], "uncond", dtype, cond.length), "uncond");
  if (info[2].IsNumber())
    args.scale = finite_of(info[2], "scale");
  else
    args.scales = call.reads(floats_of(info[2], "scale", args.rows), "scale");
  args.draw = draw_options(info[4], info[5], info[6], info[7]);
  if (info[8].IsNumber())
    args.offset = integer_of(info[8], "offset", 0, int64_t{1} << 53);
  else
    args.counters = call.reads(ints_of(info[8], "offset", args.rows), "offset");
  if (!is_absent(info[12])) {
    const Span<uint32_t> allowed = words_of(info[12], "allowed");
    args.allowed_step = mask_step(allowed.length, args.rows, args.vocab);
    args.allowed = call.reads(allowed, "allowed");
  }
  args.tokens = call.writes(ints_of(info[9], "tokens", args.rows), "tokens");
  args.log_probs = call.writes(floats_of(info[10], "logProbs", args.rows), "logProbs");
  run_now({Op::sample_guided, dtype}, bytes_of(args));
  return info.Env().Undefined();
}

// (cond, uncond | null, scale: number | tensor, temperature, topK, topP, seed, offset: number | tensor,
//  allowed: int32 tensor | undefined): [tokens, logProbs]
Napi::Value sample_guided(const Napi::CallbackInfo& info) {
  SampleGuidedArgs args{};
  const Tensor& cond = elements_of(info[0], "cond", {-1, -1});
  args.rows = cond.shape[0];
  args.vocab = vocab_of(cond, "cond");
  std::vector<const Tensor*> inputs = {&cond};
  if (!is_absent(info[1])) {
    const Tensor& uncond = tensor_of(info[1], "uncond", cond.dtype, {args.rows, args.vocab});
    args.uncond = uncond.data();
    inputs.push_back(&uncond);
  }
  if (info[2].IsNumber()) {
    args.scale = finite_of(info[2], "scale");
  } else {
    const Tensor& scales = tensor_of(info[2], "scale", DType::f32, {args.rows});
    args.scales = scales.data();
    inputs.push_back(&scales);
  }
  args.draw = draw_options(info[3], info[4], info[5], info[6]);
  if (info[7].IsNumber()) {
    args.offset = integer_of(info[7], "offset", 0, int64_t{1} << 53);
  } else {
    const Tensor& counters = tensor_of(info[7], "offset", DType::i32, {args.rows});
    args.counters = counters.data<int32_t>();
    inputs.push_back(&counters);
  }
  if (!is_absent(info[8])) {
    const Tensor& allowed = tensor_of(info[8], "allowed", DType::i32);
    const int64_t words = mask_words(args.vocab);
    const bool per_row = allowed.shape.rank() == 2;
    if (per_row)
      expect_shape(allowed, "allowed", {args.rows, words});
    else
      expect_shape(allowed, "allowed", {words});
    args.allowed_step = per_row ? words : 0;
    args.allowed = allowed.data<uint32_t>();
    inputs.push_back(&allowed);
  }
  Tensor tokens = cond.device().empty(DType::i32, {args.rows});
  Tensor log_probs = cond.device().empty(DType::f32, {args.rows});
  args.cond = cond.data();
  args.tokens = tokens.data<int32_t>();
  args.log_probs = log_probs.data();
  submit(info.Env(), {Op::sample_guided, cond.dtype}, bytes_of(args), inputs, {&tokens, &log_probs});
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result.Set(0u, TensorObject::wrap(info.Env(), std::move(tokens)));
  result.Set(1u, TensorObject::wrap(info.Env(), std::move(log_probs)));
  return result;
}

// (logits of float32 or bfloat16, scales, streams, temperature, topK, topP, seed, stopToken | null, position, finished, unfinished, next,
//  history, historyLogProbs, then undefined or state, allowed, transitions): works in place on position … historyLogProbs
//  and state.
Napi::Value decode_sample(const Napi::CallbackInfo& info) {
  DecodeSampleArgs args{};
  const Tensor& logits = elements_of(info[0], "logits", {-1, -1});
  const Tensor& streams = tensor_of(info[2], "streams", DType::i32, {-1});
  args.rows = streams.shape[0];
  args.vocab = vocab_of(logits, "logits");
  if (!args.rows || (logits.shape[0] != args.rows && logits.shape[0] != 2 * args.rows))
    fail(CFGD_SHAPE, "logits", "expected %lld or %lld rows, got %s", static_cast<long long>(args.rows),
         static_cast<long long>(2 * args.rows), logits.shape.text().c_str());
  args.branches = logits.shape[0] / args.rows;
  const Tensor& scales = tensor_of(info[1], "scales", DType::f32, {args.rows});
  args.draw = draw_options(info[3], info[4], info[5], info[6]);
  args.stop_token = is_absent(info[7]) ? -1 : static_cast<int32_t>(integer_of(info[7], "stopToken", 0, INT32_MAX));
  const Tensor& position = tensor_of(info[8], "position", DType::i32, {1});
  const Tensor& finished = tensor_of(info[9], "finished", DType::i32, {args.rows});
  const Tensor& unfinished = tensor_of(info[10], "unfinished", DType::i32, {1});
  const Tensor& next = tensor_of(info[11], "next", DType::i32, {args.branches * args.rows});
  const Tensor& history = tensor_of(info[12], "history", DType::i32, {args.rows, -1});
  args.capacity = history.shape[1];
  const Tensor& log_probs = tensor_of(info[13], "historyLogProbs", DType::f32, {args.rows, args.capacity});
  args.logits = logits.data();
  args.scales = scales.data();
  args.streams = streams.data<int32_t>();
  args.position = position.data<int32_t>();
  args.finished = finished.data<int32_t>();
  args.unfinished = unfinished.data<int32_t>();
  args.next = next.data<int32_t>();
  args.history = history.data<int32_t>();
  args.history_log_probs = log_probs.data();
  std::vector<const Tensor*> outputs = {&position, &finished, &unfinished, &next, &history, &log_probs};
  std::vector<const Tensor*> inputs = {&logits, &scales, &streams};
  if (!is_absent(info[14])) {
    const Tensor& state = tensor_of(info[14], "state", DType::i32, {args.rows});
    const Tensor& allowed = tensor_of(info[15], "allowed", DType::i32, {-1, mask_words(args.vocab)});
    if (!allowed.shape[0])
      fail(CFGD_SHAPE, "allowed", "expected at least one state, got %s", allowed.shape.text().c_str());
    args.constraint.states = allowed.shape[0];
    args.constraint.words = allowed.shape[1];
    const Tensor& transitions = tensor_of(info[16], "transitions", DType::i32, {args.constraint.states, args.vocab});
    args.constraint.state = state.data<int32_t>();
    args.constraint.allowed = allowed.data<uint32_t>();
    args.constraint.transitions = transitions.data<int32_t>();
    outputs.push_back(&state);
    inputs.insert(inputs.end(), {&allowed, &transitions});
  }
  inputs.insert(inputs.end(), outputs.begin(), outputs.end());
  submit(info.Env(), {Op::decode_sample, logits.dtype}, bytes_of(args), inputs, outputs);
  return info.Env().Undefined();
}

}  // namespace

void export_guidance(Napi::Object exports) {
  export_function<guided_logits_now>(exports, "guidedLogitsNow");
  export_function<guided_logits>(exports, "guidedLogits");
  export_function<sample_guided_now>(exports, "sampleGuidedNow");
  export_function<sample_guided>(exports, "sampleGuided");
  export_function<decode_sample>(exports, "decodeSample");
}

}  // namespace cfgd
