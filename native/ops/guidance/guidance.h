// Classifier-free guidance on logits, and drawing from the result.
//
//   guided = uncond + scale · (cond − uncond)
//
// (Ho and Salimans, "Classifier-free diffusion guidance", 2022; for autoregressive models as in arXiv 2410.06084.)
// scale 0 gives uncond and 1 gives cond, bit for bit. A token whose logit is −∞ in either branch is −∞ in the result.
// NaN, +∞, a scale that is not finite and a guided logit beyond float32 are errors (CFGD_VALUE, naming row and token);
// after an error the content of the outputs is undefined.
//
// Drawing: softmax(guided / temperature); temperature 0 means the largest logit (ties: the lowest token), with
// log-probability 0. Then the top_k largest (ties: the lower token stays), renormalised; then the smallest set, by
// falling probability, whose mass reaches top_p up to the rounding of float32 logits, 1e-6 · top_p · (1 − top_p) (ties:
// the lower token first); then one draw by inversion in token order. log_probs is that of the distribution drawn from,
// in nats. A row without any finite logit is an error.
//
// A draw may be kept to a set of tokens, given by a mask of bits: bit v % 32 of word v / 32, the lowest first, is token
// v's, and bits beyond the vocabulary are not looked at. A token whose bit is 0 counts in all of the above as one whose
// guided logit is −∞. Its logits are read and checked all the same: NaN, +∞ and an overflow are errors there, too.
//
// Bytes that must move: guided_logits 3, drawing 2 elements per token (1 without guidance). The CPU reads both branches
// once; top-k combines a few blocks of long rows again, top-p keeps the row's weights as float32 in scratch memory,
// with room for three numbers more per token, of which it touches what lies between two thresholds.
// Measured (AMD EPYC with AVX2, float32 beyond the caches, 1 and 2 threads): guided_logits 0.92–0.96 and 0.98–1.4 of a
// copy; of the speed of reading, drawing at a vocabulary of 2,048, 32,768 and 131,072: plain 0.52 and 0.59, 0.71 and 0.84,
// 0.76 and 0.91; top-k 50 0.29 and 0.34, 0.58 and 0.65, 0.66 and 0.79; top-p 0.9 0.29 and 0.32, 0.42 and 0.50, 0.42 and
// 0.48. With a mask (float32, one thread) the same take 1.2 (plain), 1.2 to 1.4 (top-k 50) and 1.05 to 1.25 (top-p 0.9)
// times as long.
//
// Error on the CPU: a weight e^((logit − r) / T), r the logit it is relative to, is within 2 units in the last place of the
// exponential of its rounded argument, which adds 2⁻²³ |logit − r| / T. Sums of weights add at most 64 floats in turn (32 with AVX2) and
// then the lanes of a vector, the rest in double: their relative error is below 68 · 2⁻²⁴ ≈ 4.1e-6 whatever the
// vocabulary.
#pragma once
#include <cstdint>

namespace cfgd {

template <class T>
struct GuidedLogits {
  const T* cond;    // [rows, vocab]
  const T* uncond;  // [rows, vocab]
  const float* scales;  // [rows], or null: `scale` for every row
  float scale;
  T* out;  // [rows, vocab]; may be cond or uncond
  int64_t rows, vocab;
};
using GuidedLogitsArgs = GuidedLogits<float>;

/// Lower temperatures that are not 0 act as this one: its inverse is a float32 number still.
constexpr float kLeastTemperature = 1e-37f;

/// Words of a mask that has a bit for every token.
constexpr int64_t mask_words(int64_t vocab) { return (vocab + 31) / 32; }

/// How to draw a token from logits.
struct DrawOptions {
  float temperature;  // 0, or kLeastTemperature at least
  int32_t top_k;      // ≥ 1, or 0: off
  double top_p;       // in (0, 1]; 1: off
  uint64_t seed;
};

template <class T>
struct SampleGuided {
  const T* cond;    // [rows, vocab]
  const T* uncond;  // [rows, vocab], or null: no guidance
  const float* scales;  // [rows], or null: `scale`
  float scale;
  DrawOptions draw;
  const int32_t* counters;  // [rows], each ≥ 0, or null: row r draws from counter `offset` + r
  int64_t offset;
  int32_t* tokens;   // [rows]
  float* log_probs;  // [rows]
  int64_t rows, vocab;
  const uint32_t* allowed;  // [rows, mask_words(vocab)], or [mask_words(vocab)] for all rows, or null: every token
  int64_t allowed_step;     // words from a row's mask to the next row's: mask_words(vocab), or 0
};
using SampleGuidedArgs = SampleGuided<float>;

/// A finite automaton over tokens, to which decoding can be kept. Each row is in a state, which says by a mask what
/// may be drawn; the token drawn leads to the next state. A row that is to draw in a state outside [0, states) is an
/// error (CFGD_VALUE, `state`): so are transitions that lead there, at the draw after them.
struct Constraint {
  const uint32_t* allowed;     // [states, words], or null: there is no automaton
  const int32_t* transitions;  // [states, vocab]; read for a token that was drawn
  int32_t* state;              // [rows]; a finished row keeps the one after its last token
  int64_t states, words;       // mask_words(vocab)
};

/// One step of decoding: draws the next token of every unfinished row and keeps the books, all of it in device memory
/// so that the step can be replayed. `position` counts the tokens drawn so far and is advanced by one.
template <class T>
struct DecodeSample {
  const T* logits;     // [branches · rows, vocab]: the conditional branch first, then, for 2 branches, the other
  const float* scales;     // [rows]; not read for 1 branch
  const int32_t* streams;  // [rows]: the random stream of each generation
  DrawOptions draw;
  int32_t stop_token;        // −1: none
  int32_t* position;         // [1]
  int32_t* finished;         // [rows]: 0, or 1 after the stop token
  int32_t* unfinished;       // [1]: how many rows still go on
  int32_t* next;             // [branches · rows]: the token to feed next; a finished row keeps its last one
  int32_t* history;          // [rows, capacity]: the tokens drawn; −1 after the stop token
  float* history_log_probs;  // [rows, capacity]; 0 after the stop token
  int64_t branches, rows, vocab, capacity;
  Constraint constraint;
};
using DecodeSampleArgs = DecodeSample<float>;

}  // namespace cfgd
