// What is measured, in one place: bench/peers/shapes.py says the same, and the results are matched by `what`, `shape`
// and `dtype`.
export const shapeText = (shape) => `[${shape.join(', ')}]`;

export const DTYPES = ['bfloat16', 'float32'];

export const shapes = (small) =>
  small
    ? {
        elementwise: [8, 1_000],
        loss: [
          [6, 64],
          [4, 300],
        ],
        draw: [4, 300],
        diversity: [[3, 4, 16]],
      }
    : {
        elementwise: [4_096, 32_768],
        loss: [
          [8_192, 2_048],
          [8_192, 32_768],
          [4_096, 131_072],
        ],
        draw: [256, 32_768],
        diversity: [
          [256, 4, 512],
          [64, 16, 1_024],
        ],
      };

/** The model that is trained and sampled from: GPT-2's smallest, with a vocabulary of 32,768. */
export const model = (small) => ({
  vocabularySize: small ? 64 : 32_768,
  depth: small ? 2 : 12,
  width: small ? 32 : 768,
  heads: small ? 2 : 12,
  maxPositions: small ? 32 : 1_024,
  tied: true,
});

export const workload = (small) =>
  small
    ? {
        training: { rows: 2, positions: 16 },
        sampling: { batches: [1, 4], prompt: 4, answer: 6 },
        distillation: { prompts: 2, samples: 2, prompt: 4, answer: 6 },
      }
    : {
        training: { rows: 8, positions: 1_024 },
        sampling: { batches: [1, 16, 128], prompt: 64, answer: 256 },
        distillation: { prompts: 8, samples: 4, prompt: 64, answer: 256 },
      };
