export {
  type DistillationLossOptions,
  type DistillationOptions,
  type DistillationResult,
  type Divergence,
  distillationLoss,
} from './distillation-loss.ts';
export { type DiversityRewardOptions, type DiversityRewardResult, diversityReward } from './diversity-reward.ts';
export { type GuidedLogitsOptions, guidedLogits } from './guided-logits.ts';
export type { ElementOption, Float16Elements, FloatArray, Like } from './host-elements.ts';
export { lerp, type MergeOptions } from './lerp.ts';
export { type DrawOptions, type SampleGuidedOptions, sampleGuided } from './sample-guided.ts';
export { slerp } from './slerp.ts';
export { tokenMask } from './token-mask.ts';
export { weightedAverage } from './weighted-average.ts';
