export { type BaseMetrics, BaseTrainer, type BaseTrainerOptions } from './base-trainer.ts';
export { AudioEmbedder, type AudioEmbedderOptions } from './embedders/audio-embedder.ts';
export { AudioFront, type AudioFrontOptions, patchStatistics } from './embedders/audio-front.ts';
export { type AudioPairOptions, audioPair } from './embedders/audio-pair.ts';
export { AUDIO_ENCODER_PAPER, AUDIO_ENCODER_SMALL } from './embedders/audio-presets.ts';
export {
  type ContrastiveMetrics,
  type ContrastiveSettings,
  ContrastiveTrainer,
  type ContrastiveTrainerOptions,
  type ItemOf,
  type PositivePair,
} from './embedders/contrastive-trainer.ts';
export { type Embedder, EncoderEmbedder } from './embedders/embedder.ts';
export { type Embeddings, type FunctionEmbedderOptions, functionEmbedder } from './embedders/function-embedder.ts';
export { OnnxEmbedder, type OnnxEmbedderOptions, type OnnxInput } from './embedders/onnx-embedder.ts';
export type { OnnxData } from './embedders/onnx-runtime.ts';
export { retrievalAt1 } from './embedders/retrieval.ts';
export { TwoTower, type TwoTowerOptions } from './embedders/two-tower.ts';
export { TwoTowerTrainer, type TwoTowerTrainerOptions } from './embedders/two-tower-trainer.ts';
export * from './errors.ts';
export type { BootstrapOptions } from './evaluation/bootstrap.ts';
export type { ClaimOptions } from './evaluation/claims.ts';
export {
  type EvaluateOptions,
  type Evaluation,
  type EvaluationStore,
  evaluate,
  type Generator,
  type Judge,
  type Measures,
} from './evaluation/evaluate.ts';
export { EvaluationFolder, type EvaluationFolderOptions } from './evaluation/evaluation-folder.ts';
export type { DistillationCurve } from './evaluation/failure-signs.ts';
export { type Findings, findings } from './evaluation/findings.ts';
export { hypervolume, hypervolumes, type Reference } from './evaluation/hypervolume.ts';
export type { PointJudgement } from './evaluation/judgement.ts';
export { type BitsPerTokenOptions, bitsPerToken } from './evaluation/likelihood.ts';
export { mergePathCurves } from './evaluation/merge-path.ts';
export { type ParetoAxes, paretoFront } from './evaluation/pareto.ts';
export { compareRollouts, type RolloutComparison } from './evaluation/rollouts.ts';
export {
  BASE_SWEEP,
  baseGenerators,
  type Sweep,
  TRAINED_SWEEP,
  trainedGenerators,
} from './evaluation/strategies.ts';
export type * from './evaluation/types.ts';
export * from './kernels/index.ts';
export {
  type AverageLayer,
  type AverageOptions,
  averageCheckpoints,
  type MergedCheckpoint,
  type MergeLayer,
  type MergeMethod,
  type MergeOptions,
  type MergeProgress,
  mergeCheckpoints,
} from './merge.ts';
export type { Decoder, DecoderOptions, LanguageModel } from './models/language-model.ts';
export type { Parameter } from './models/parameter.ts';
export { type PatchBatch, packPatches } from './models/patch-batch.ts';
export { PatchEncoder, type PatchEncoderConfig, type PatchEncoderOptions } from './models/patch-encoder.ts';
export type { EncodeOptions, Encoder } from './models/pooled-encoder.ts';
export {
  loadSafetensors,
  parseSafetensors,
  type Safetensors,
  type StoredTensor,
  saveSafetensors,
} from './models/safetensors.ts';
export { SequenceEncoder, type SequenceEncoderConfig, type SequenceEncoderOptions } from './models/sequence-encoder.ts';
export { packTokens, type TokenBatch } from './models/token-batch.ts';
export { TransformerLM, type TransformerLMConfig, type TransformerLMOptions } from './models/transformer-lm.ts';
export { WordTokenizer } from './models/word-tokenizer.ts';
export { Random } from './random.ts';
export { type GenerateOptions, type Generation, Sampler, type SamplerOptions } from './sampler.ts';
export type { Guidance, SamplingOptions } from './sampling-options.ts';
export { Tape } from './tensor/autograd.ts';
export { type Device, type DeviceName, device } from './tensor/device.ts';
export * as operations from './tensor/operations.ts';
export { keep, scope } from './tensor/scope.ts';
export { type ComputeType, type DType, Tensor } from './tensor/tensor.ts';
export { TokenAutomaton, type TokenAutomatonOptions } from './token-automaton.ts';
export {
  type DiversityReward,
  type ResumeOptions,
  type RolloutSource,
  type RunOptions,
  type StepMetrics,
  Trainer,
  type TrainerOptions,
} from './trainer.ts';
export type { OptimizerOptions } from './training/optimizer.ts';
