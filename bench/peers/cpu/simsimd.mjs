// npm simsimd: vectorised cosine distances of single pairs.
export const name = 'simsimd';

export async function load() {
  const { default: simsimd } = await import('simsimd');
  return {
    about: 'simsimd.cosine, pair by pair',
    cases: {
      diversityReward: ({ prompts, samples, dimensions, embeddings }) => {
        const rows = Array.from({ length: prompts * samples }, (_, i) =>
          embeddings.subarray(i * dimensions, (i + 1) * dimensions),
        );
        return () => {
          const reward = new Float32Array(rows.length);
          for (let begin = 0; begin < rows.length; begin += samples) {
            for (let i = begin; i < begin + samples; i++) {
              for (let j = i + 1; j < begin + samples; j++) {
                const distance = simsimd.cosine(rows[i], rows[j]) / (samples - 1);
                reward[i] += distance;
                reward[j] += distance;
              }
            }
          }
          return reward;
        };
      },
    },
  };
}
