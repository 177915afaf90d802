import type { TuneSample, TuneSamples } from '../../lib/cli/report/index.ts';
import { paretoFront } from '../../lib/evaluation/pareto.ts';
import { mapOf } from '../../lib/evaluation/projection.ts';
import type { Family, Interval, Point, PointParameters, Report } from '../../lib/evaluation/types.ts';
import { Random } from '../../lib/random.ts';
import type { Bar, Note } from '../../lib/tasks/tunes/tune.ts';

export interface TuneScene {
  report: Report;
  samples: TuneSamples;
}

export interface SceneSize {
  prompts: number;
  samplesPerPrompt: number;
  /** In bars. */
  bars: number;
}

const LAMBDAS = [0.2, 0.4, 0.6, 0.8];
const DIMENSIONS = 16;

/** [family, parameters, quality, diversity, name] of generators as a run of the method has them. */
function generators(): [Family, PointParameters, number, number][] {
  const merged = LAMBDAS.map((lambda): [Family, PointParameters, number, number] => [
    'merged',
    { beta: 5, lambda },
    0.52 - 0.14 * lambda ** 2,
    0.34 + 0.27 * Math.sqrt(lambda),
  ]);
  return [
    ['base', {}, 0.31, 0.58],
    ...[2, 3, 5].map((scale): [Family, PointParameters, number, number] => [
      'guidance',
      { scale },
      0.31 + 0.21 * (1 - 1 / scale ** 1.5),
      0.58 - 0.05 * scale,
    ]),
    ['temperature', { temperature: 0.7 }, 0.42, 0.44],
    ['top-k', { topK: 10 }, 0.4, 0.5],
    ['nucleus', { topP: 0.8 }, 0.41, 0.48],
    ['distilled', { beta: 0 }, 0.52, 0.35],
    ['distilled', { beta: 2.5 }, 0.45, 0.5],
    ['distilled', { beta: 5 }, 0.38, 0.61],
    ...merged,
    ['merged', { beta: 5, lambda: 0.4, topP: 0.9 }, 0.515, 0.47],
    ['off-policy', { beta: 0 }, 0.44, 0.33],
  ];
}

const SYMBOLS = { beta: 'β', lambda: 'λ', scale: 'γ', temperature: 'T', topK: 'k', topP: 'p' };

function nameOf(family: Family, parameters: PointParameters): string {
  const text = Object.entries(parameters).map(([key, value]) => `${SYMBOLS[key as keyof typeof SYMBOLS]}=${value}`);
  return [family === 'guidance' ? 'CFG' : family, ...text].join(' ');
}

const around = (value: number, by: number): Interval => [value - by, value + by];

/** A made-up report of tunes, with made-up tunes: the same at every call. */
export function tuneScene({ prompts, samplesPerPrompt, bars }: SceneSize): TuneScene {
  const random = new Random(5);
  const points = generators().map(([family, parameters, quality, diversity]): Point => {
    const trained = ['distilled', 'merged', 'off-policy'].includes(family);
    return {
      name: nameOf(family, parameters),
      family,
      parameters,
      quality,
      diversity,
      independentDiversity: diversity * 0.8,
      distinctValid: 4 * (1 - diversity / 2),
      passesPerToken: family === 'guidance' ? 2 : 1,
      tokensPerSecond: family === 'guidance' ? 2900 : 5400,
      interval: { quality: around(quality, 0.021), diversity: around(diversity, 0.017) },
      measures: { fullBars: 0.9 + 0.08 * random.uniform(), copied8grams: trained ? 0.012 : 0.02, longestShared: 9.25 },
    };
  });
  const asked = Array.from({ length: prompts }, (_, index) => PROMPTS[index % PROMPTS.length]!);
  const drawn = asked.map((prompt) => ({
    prompt,
    byPoint: points.map((point) =>
      Array.from({ length: samplesPerPrompt }, () => tune(prompt, point, { bars, random })),
    ),
  }));
  const mapped = drawn.map(({ byPoint }) => {
    const places = mapOf(Float32Array.from(byPoint.flatMap((all) => all.flatMap(({ place }) => place))), DIMENSIONS);
    let next = 0;
    return byPoint.map((all) =>
      all.map(({ sample }): TuneSample => {
        const map: [number, number] = [places[2 * next]!, places[2 * next + 1]!];
        next++;
        return { ...sample, map };
      }),
    );
  });
  return {
    report: reportOf(points, { prompts, samplesPerPrompt }),
    samples: {
      prompts: asked.map(({ text, meter }) => ({ text, meter })),
      models: Object.fromEntries(points.map(({ name }, index) => [name, mapped.map((byPoint) => byPoint[index]!)])),
    },
  };
}

const PROMPTS = [
  { text: 'a lively jig in 6/8, D major', meter: '6/8', tonic: 62, cells: [[12, 12, 12], [24, 12], [36]], perBar: 2 },
  { text: 'a reel in 4/4, G major', meter: '4/4', tonic: 67, cells: [[12, 12], [24], [18, 6]], perBar: 4 },
  { text: 'a slow air in 3/4, A minor', meter: '3/4', tonic: 69, cells: [[24], [12, 12], [24]], perBar: 3 },
  { text: 'a polka in 2/4', meter: '2/4', tonic: 65, cells: [[12, 12], [24], [6, 6, 12]], perBar: 2 },
];

/** The steps of each prompt's scale from its tonic. */
const MAJOR = [0, 2, 4, 5, 7, 9, 11];
const MINOR = [0, 2, 3, 5, 7, 8, 10];

interface Drawn {
  sample: Omit<TuneSample, 'map'>;
  place: number[];
}

function tune(
  { text, tonic, cells, perBar }: (typeof PROMPTS)[number],
  point: Point,
  { bars, random }: { bars: number; random: Random },
): Drawn {
  const scale = text.includes('minor') ? MINOR : MAJOR;
  const wild = 1 - point.quality;
  const elements: (Note | Bar)[] = [];
  let step = random.integer(5);
  const pitchAt = (at: number) => tonic + 12 * Math.floor(at / 7) + scale[((at % 7) + 7) % 7]!;
  for (let bar = 0; bar < bars; bar++) {
    for (let beat = 0; beat < perBar; beat++) {
      for (const ticks of cells[random.integer(cells.length)]!) {
        step = Math.max(-3, Math.min(9, step + random.integer(5) - 2));
        const outside = random.uniform() < 0.06 * wild ? 1 : 0;
        const rest = random.uniform() < 0.02;
        elements.push({ kind: 'note', pitch: rest ? null : pitchAt(step) + outside, ticks, tied: false });
      }
    }
    if (random.uniform() < 0.08 * wild) elements.push({ kind: 'note', pitch: pitchAt(step), ticks: 6, tied: false });
    elements.push({ kind: 'bar', line: bar % 8 === 7 ? ':|' : '|' });
  }
  const quality = point.quality + 0.2 * (random.uniform() - 0.5);
  const centre = point.parameters.lambda ?? (point.parameters.beta ?? 0) / 5;
  const place = Array.from(
    { length: DIMENSIONS },
    (_, axis) => (axis === 0 ? centre : 0) + (point.diversity * 3 * (random.uniform() - 0.5)) / (1 + axis / 2),
  );
  return { sample: { elements, quality, valid: random.uniform() > 0.7 * wild }, place };
}

function reportOf(
  points: Point[],
  { prompts, samplesPerPrompt }: Pick<SceneSize, 'prompts' | 'samplesPerPrompt'>,
): Report {
  const named = (name: string) => points.find((point) => point.name === name)!;
  const path = [named('distilled β=0'), ...LAMBDAS.map((at) => named(`merged β=5 λ=${at}`)), named('distilled β=5')];
  const steps = Array.from({ length: 40 }, (_, index) => 25 * index);
  const falling = (from: number, to: number) => steps.map((step) => to + (from - to) * Math.exp(-step / 200));
  return {
    schema: 1,
    task: 'tunes',
    seed: 1,
    heldOutPrompts: prompts,
    samplesPerPrompt,
    points,
    front: paretoFront(points).map(({ name }) => name),
    claims: [
      { claim: 'One pass replaces two', holds: true, figures: { difference: 0.004 }, why: 'the interval holds 0' },
    ],
    failureSigns: [{ sign: 'Quality falls along the merges', seen: false, figures: { depth: -0.02 } }],
    embedder: { retrievalAt1: 0.41, candidates: 215 },
    quality: {
      name: 'adherence',
      meaning: 'cosine of the prompt and the tune in a model that was trained to match them',
    },
    measures: {
      fullBars: 'share of the bars that last as long as the metre says',
      copied8grams: 'share of the sequences of eight notes that training tunes have as well',
      longestShared: 'longest sequence of notes that a training tune has as well',
    },
    hypervolumes: [
      { family: 'guidance', value: 0.262, interval: [0.25, 0.274], points: 3 },
      { family: 'distilled', value: 0.274, interval: [0.26, 0.288], points: 3 },
      { family: 'merged', value: 0.291, interval: [0.279, 0.302], points: 5 },
      { family: 'off-policy', value: 0.145, interval: [0.135, 0.156], points: 1 },
      { family: 'all', value: 0.301, interval: [0.29, 0.313], points: points.length },
    ],
    mergePaths: [
      {
        beta: 5,
        lambda: [0, ...LAMBDAS, 1],
        quality: path.map((point) => point.quality),
        diversity: path.map((point) => point.diversity),
        interval: {
          quality: path.map((point) => point.interval.quality),
          diversity: path.map((point) => point.interval.diversity),
        },
        barrier: { seen: false, lambda: 0.8, depth: -0.05, interval: [-0.08, -0.02] },
      },
    ],
    embedders: [
      { name: 'symbolic', role: 'rewarded', retrievalAt1: 0.41, candidates: 215 },
      { name: 'audio', role: 'independent', retrievalAt1: 0.36, candidates: 215 },
    ],
    adherence: { retrievalAt1: 0.22, candidates: 87 },
    rollouts: [
      { source: 'student', point: 'distilled β=0' },
      { source: 'teacher', point: 'off-policy β=0' },
    ],
    seconds: { base: 320, 'distilled-0': 140, 'distilled-5': 160, evaluate: 210 },
    notes: ['These tunes are made up.'],
    training: {
      base: { step: steps, metrics: { loss: falling(6, 2.1) } },
      'distilled-0': { step: steps, metrics: { kl: falling(60, 12), diversity: falling(0.5, 0.35) } },
      'distilled-5': { step: steps, metrics: { kl: falling(60, 20), diversity: falling(0.5, 0.61) } },
    },
  };
}
