// npm usearch: exact search for all the neighbours of each generation among those of its prompt gives their distances.
export const name = 'usearch';

export async function load() {
  const { default: usearch } = await import('usearch');
  const { exactSearch, MetricKind } = usearch;
  return {
    about: 'exactSearch by cosine within each prompt',
    manyThreads: true,
    cases: {
      diversityReward: ({ prompts, samples, dimensions, embeddings }, threads) => {
        const sets = Array.from({ length: prompts }, (_, p) =>
          // A copy: of a view it reads the beginning of the buffer.
          embeddings.slice(p * samples * dimensions, (p + 1) * samples * dimensions),
        );
        return () => {
          const reward = new Float32Array(prompts * samples);
          sets.forEach((set, p) => {
            const { distances } = exactSearch(set, set, dimensions, samples, MetricKind.Cos, threads);
            // Its own distance, 0, is among them.
            for (let i = 0; i < samples; i++) {
              let sum = 0;
              for (let j = 0; j < samples; j++) sum += distances[i * samples + j];
              reward[p * samples + i] = sum / (samples - 1);
            }
          });
          return reward;
        };
      },
    },
  };
}
