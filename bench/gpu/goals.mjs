// What the figures are to be: each measurement against the copy of the same run and against its peers.

/**
 * A goal is a ratio that should be at least so much, in one `dtype` or at one `batch` where these are named. `of`: 'copy', the share of a device copy's bandwidth; the name of a
 * peer's version, how many times as fast; 'memory', whether the peak is inputs and gradient and little else; or another
 * measurement of the same model (`what`).
 */
const DRAW = [{ of: 'eager', atLeast: 3 }, { of: 'compile' }, { of: 'copy' }];
const MOVES = (more = []) => [{ of: 'copy', atLeast: 0.9 }, { of: 'eager' }, { of: 'compile' }, ...more];

export const GOALS = {
  scale: [{ of: 'copy' }],
  guidedLogits: MOVES(),
  lerp: MOVES(),
  'weightedAverage of 3': MOVES(),
  adamw: MOVES(),
  distillationLoss: [
    { of: 'copy', atLeast: 0.8 },
    { of: 'eager', atLeast: 6 },
    { of: 'compile', atLeast: 3 },
    { of: 'memory', atLeast: 1 },
  ],
  sampleGuided: DRAW,
  'sampleGuided, top-k 50': DRAW,
  'sampleGuided, top-p 0.9': DRAW,
  diversityReward: DRAW,
  'training step': [{ of: 'eager', atLeast: 1, dtype: 'bfloat16' }, { of: 'compile' }],
  'distillation step': [{ of: 'graph', atLeast: 1.5 }, { of: 'eager' }],
  'sampling, one pass': [
    { of: 'graph', atLeast: 1 },
    { of: 'two passes', what: 'sampling, two passes', atLeast: 1.8, batch: 128 },
  ],
  'sampling, two passes': [{ of: 'graph' }],
};

/** Bytes per row that a loss may need beside its gradient, and what an allocator rounds up to. */
const BYTES_PER_ROW = 64;
const ROUNDING = 2 ** 21;

const bandwidth = ({ bytes, ms }) => bytes / ms;

/** How one measurement stands to what a goal compares it with; null where that was not measured. */
function ratio(own, goal, measurements, copy) {
  if (goal.of === 'copy') return copy ? bandwidth(own) / bandwidth(copy) : null;
  if (goal.of === 'memory') {
    const allowed = own.gradient + BYTES_PER_ROW * own.rows + ROUNDING;
    return own.beyondInputs === undefined ? null : allowed / own.beyondInputs;
  }
  const other = measurements.find(
    (m) =>
      !m.failed &&
      m.shape === own.shape &&
      m.dtype === own.dtype &&
      (goal.what ? m.what === goal.what && m.how === own.how : m.what === own.what && m.how === goal.of),
  );
  return other ? other.ms / own.ms : null;
}

function applies({ atLeast, dtype, batch }, own) {
  // With few rows both passes take as long as reading the weights once.
  const rows = /^\[(\d+)/.exec(own.shape)?.[1];
  return atLeast !== undefined && (!dtype || dtype === own.dtype) && (!batch || String(batch) === rows);
}

/** The copy that the shares are taken of: the fastest of PyTorch's, or else this library's own reading and writing. */
export function copyOf(measurements) {
  const fastest = (candidates) => candidates.toSorted((a, b) => bandwidth(b) - bandwidth(a))[0] ?? null;
  const done = measurements.filter(({ failed }) => !failed);
  return (
    fastest(done.filter(({ how }) => how === 'copy')) ??
    fastest(done.filter(({ what, how }) => what === 'scale' && how === 'cfgdistill'))
  );
}

/**
 * @returns every own measurement with its ratios: { …measurement, gigabytesPerSecond, ratios: [{ of, ratio, atLeast, met }] }
 */
export function judged(measurements) {
  const copy = copyOf(measurements);
  return measurements
    .filter(({ how }) => how === 'cfgdistill')
    .map((own) => {
      if (own.failed) return { ...own, ratios: [] };
      const ratios = (GOALS[own.what] ?? []).flatMap((goal) => {
        const value = ratio(own, goal, measurements, copy);
        if (value === null) return [];
        return [
          {
            of: goal.of,
            ratio: value,
            ...(applies(goal, own) && { atLeast: goal.atLeast, met: value >= goal.atLeast }),
          },
        ];
      });
      return { ...own, ...(own.bytes && { gigabytesPerSecond: own.bytes / own.ms / 1e6 }), ratios };
    });
}
