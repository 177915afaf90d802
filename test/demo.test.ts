import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EncoderEmbedder, type Point, type Report, Sampler, SequenceEncoder, TransformerLM } from 'cfgdistill';
import { type ChordPrompt, ChordTask } from 'cfgdistill/tasks/chords';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, start, temporaryFolder } from './cli/command.ts';
import { SANITIZED } from './support/sanitized.ts';

const SEED = 5;
if (SANITIZED) console.warn('skipped: the demo under a sanitizer, which would be too slow');
const { folder, remove } = temporaryFolder();
afterAll(remove);
const at = (...names: string[]): string => join(folder, ...names);
const demo = (output: string, ...more: string[]) => [
  'demo',
  '--quick',
  '--seed',
  String(SEED),
  '--output',
  output,
  ...more,
];

interface Samples {
  prompts: ChordPrompt[];
  models: Record<string, number[][][]>;
}

const readJson = <T>(...names: string[]): T => JSON.parse(readFileSync(at(...names), 'utf8')) as T;

/** The records of the stages that are done. */
function finishedStages(output: string): string[] {
  const names = existsSync(at(output, 'stages')) ? readdirSync(at(output, 'stages')) : [];
  return names.filter((name) => name.endsWith('.json')).sort();
}

/** Starts or resumes a demo, and interrupts it in the midst of the stage that follows `stage`. */
async function interruptedAfter(output: string, stage: string | null) {
  const file = stage === null ? at(output, 'cfgdistill.json') : at(output, 'stages', `${stage}.json`);
  const { child, finished } = start(folder, demo(output));
  let kill: NodeJS.Timeout | undefined;
  const watch = setInterval(() => {
    if (kill === undefined && existsSync(file)) kill = setTimeout(() => child.kill('SIGINT'), 300);
  }, 5);
  const ended = await finished;
  clearInterval(watch);
  clearTimeout(kill);
  return { ...ended, stages: finishedStages(output) };
}

type Interrupted = Awaited<ReturnType<typeof interruptedAfter>>;

let report: Report;
let samples: Samples;
let printed: Record<string, unknown>;
let interruptions: Interrupted[];
const task = new ChordTask({ seed: SEED });

beforeAll(
  async () => {
    const [whole] = await Promise.all([
      run(folder, ...demo('whole', '--json')),
      (async () => {
        interruptions = [await interruptedAfter('parts', null), await interruptedAfter('parts', 'distilled-0')];
        const { code, stderr } = await run(folder, ...demo('parts', '--quiet'));
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      })(),
    ]);
    expect({ code: whole.code, stderr: whole.stderr }).toEqual({ code: 0, stderr: '' });
    printed = JSON.parse(whole.stdout) as Record<string, unknown>;
    report = readJson<Report>('whole', 'report.json');
    samples = readJson<Samples>('whole', 'samples.json');
  },
  SANITIZED ? 1_200_000 : 240_000,
);

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Mean over the pairs of one prompt's samples. */
function meanOverPairs<T>(all: readonly T[], distance: (a: T, b: T) => number): number {
  return mean(all.flatMap((a, i) => all.slice(i + 1).map((b) => distance(a, b))));
}

/** The share of strings that differ; one that only one voicing has differs. */
function stringsThatDiffer(a: readonly number[], b: readonly number[]): number {
  const strings = Math.max(a.length, b.length);
  if (strings === 0) return 0;
  return Array.from({ length: strings }, (_, s) => s).filter((s) => a[s] !== b[s]).length / strings;
}

function ofFamily(...families: Point['family'][]): Point[] {
  return report.points.filter(({ family }) => families.includes(family));
}

describe.skipIf(SANITIZED)('the demo', () => {
  it('leaves checkpoints, the report, the samples and a page that needs nothing else', () => {
    const lambdas = new Set(ofFamily('merged').map(({ parameters }) => parameters.lambda));
    const betas = new Set(ofFamily('distilled').map(({ parameters }) => parameters.beta));
    const expected = [
      'base',
      'embedder',
      ...[...betas].map((beta) => `distilled-${beta}`),
      ...[...lambdas].map((lambda) => `merged-${lambda}`),
    ].map((name) => `${name}.safetensors`);
    expect(readdirSync(at('whole')).sort()).toEqual(
      [...expected, 'cfgdistill.json', 'report.html', 'report.json', 'samples.json', 'stages'].sort(),
    );
    const page = readFileSync(at('whole', 'report.html'), 'utf8');
    expect(page).toMatch(/^<!doctype html>/i);
    expect(page).not.toMatch(/<(script|img|iframe)[^>]*\ssrc=|<link[^>]*\shref=/i);
    expect(printed).toMatchObject({ command: 'demo', points: report.points, front: report.front });
  });

  it('says plainly that captions are corrupted on purpose, and why', () => {
    const corrupted = (100 * task.corruptedRows) / task.trainingRows.length;
    const note = report.notes.find((text) => text.includes('captions'));
    expect(note).toContain(`${Math.round(corrupted)} %`);
    expect(note).toMatch(/on purpose.*guidance/s);
    expect(readFileSync(at('whole', 'report.html'), 'utf8')).toContain('on purpose');
  });

  it('holds out prompts that training never sees', () => {
    const id = (prompt: ChordPrompt) => `${prompt.instrument} ${prompt.key} ${prompt.suffix}`;
    const training = new Set(task.trainingPrompts.map(id));
    expect(samples.prompts).toEqual(
      task.heldOutPrompts.map(({ instrument, key, suffix }) => ({ instrument, key, suffix })),
    );
    expect(new Set(samples.prompts.map(id)).size).toBe(samples.prompts.length);
    expect(samples.prompts.filter((prompt) => training.has(id(prompt)))).toEqual([]);
    // Nor as a caption that was put in another's place.
    const captions = new Set(task.trainingRows.map(({ prompt }) => prompt.join()));
    expect(samples.prompts.filter((prompt) => captions.has(task.encodePrompt(prompt).join()))).toEqual([]);
    expect(training.size + samples.prompts.length).toBeGreaterThan(1000);
  });
});

describe.skipIf(SANITIZED)('report.json', () => {
  it('has the fields of its schema', () => {
    expect(report).toMatchObject({
      schema: 1,
      task: 'chords',
      seed: SEED,
      heldOutPrompts: task.heldOutPrompts.length,
      samplesPerPrompt: 16,
    });
    const number = expect.any(Number);
    for (const point of report.points) {
      expect(point).toEqual({
        name: expect.any(String),
        family: expect.stringMatching(/^(base|guidance|temperature|top-k|nucleus|distilled|merged)$/),
        parameters: expect.any(Object),
        quality: number,
        diversity: number,
        independentDiversity: number,
        distinctValid: number,
        passesPerToken: number,
        tokensPerSecond: number,
        interval: { quality: [number, number], diversity: [number, number] },
      });
    }
    expect(new Set(report.points.map(({ name }) => name)).size).toBe(report.points.length);
    for (const claim of report.claims) {
      expect(claim).toEqual({
        claim: expect.stringMatching(/^\([a-e]\) \S/),
        holds: expect.any(Boolean),
        figures: expect.any(Object),
        why: expect.stringMatching(/\S.*\.$/s),
      });
    }
    expect(report.claims.map(({ claim }) => claim.slice(1, 2)).join('')).toBe('abcde');
    expect(report.failureSigns.length).toBe(3);
    for (const sign of report.failureSigns) {
      expect(sign).toMatchObject({ sign: expect.any(String), seen: expect.any(Boolean), figures: expect.any(Object) });
    }
    expect(report.embedder.retrievalAt1).toBeGreaterThanOrEqual(0);
    expect(report.embedder.retrievalAt1).toBeLessThanOrEqual(1);
    expect(report.embedder.candidates).toBeGreaterThan(100);
    const stages = finishedStages('whole').map((name) => name.replace('.json', ''));
    expect(Object.keys(report.seconds).sort()).toEqual(stages.sort());
    for (const seconds of Object.values(report.seconds)) expect(seconds).toBeGreaterThanOrEqual(0);
    // JSON has no NaN and no infinity: they would have become null.
    expect(readFileSync(at('whole', 'report.json'), 'utf8')).not.toContain('null');
  });

  it('judges exactly one base, and at least as many of each family as the method asks for', () => {
    expect(ofFamily('base').map(({ parameters }) => parameters)).toEqual([{}]);
    const distinct = (family: Point['family'], key: keyof Point['parameters']) =>
      new Set(ofFamily(family).map(({ parameters }) => parameters[key])).size;
    expect(distinct('guidance', 'scale')).toBeGreaterThanOrEqual(5);
    expect(distinct('temperature', 'temperature')).toBeGreaterThanOrEqual(3);
    expect(distinct('top-k', 'topK')).toBeGreaterThanOrEqual(3);
    expect(distinct('nucleus', 'topP')).toBeGreaterThanOrEqual(3);
    expect(distinct('distilled', 'beta')).toBeGreaterThanOrEqual(3);
    expect(distinct('merged', 'lambda')).toBeGreaterThanOrEqual(3);
  });

  it('gives every point the parameters of its family, and those of a strategy on top', () => {
    const own: Record<Point['family'], string[]> = {
      base: [],
      guidance: ['scale'],
      temperature: ['temperature'],
      'top-k': ['topK'],
      nucleus: ['topP'],
      distilled: ['beta'],
      merged: ['beta', 'lambda'],
      'off-policy': ['beta'],
    };
    for (const { family, parameters, passesPerToken } of report.points) {
      const further = Object.keys(parameters).filter((key) => !own[family].includes(key));
      expect(Object.keys(parameters).length - further.length).toBe(own[family].length);
      if (family === 'distilled' || family === 'merged') {
        expect(further.length).toBeLessThanOrEqual(1);
        for (const key of further) expect(['temperature', 'topK', 'topP']).toContain(key);
      } else {
        expect(further).toEqual([]);
      }
      expect(passesPerToken).toBe(family === 'guidance' ? 2 : 1);
      // Only what differs from plain sampling.
      expect(parameters.temperature).not.toBe(1);
      expect(parameters.topP).not.toBe(1);
      expect(parameters.scale).not.toBe(1);
    }
    const plain = ofFamily('distilled').filter(({ parameters }) => Object.keys(parameters).length === 1);
    const betas = plain.map(({ parameters }) => parameters.beta!);
    expect(ofFamily('distilled')[0]!.parameters).toEqual({ beta: 0 });
    expect(betas).toEqual([...betas].sort((a, b) => a - b));
    for (const { parameters } of ofFamily('merged')) {
      // That of the diverse end.
      expect(parameters.beta).toBe(Math.max(...betas));
      expect(parameters.lambda).toBeGreaterThan(0);
      expect(parameters.lambda).toBeLessThan(1);
    }
    for (const key of ['temperature', 'topP'] as const) {
      for (const family of ['distilled', 'merged'] as const) {
        expect(ofFamily(family).some(({ parameters }) => parameters[key] !== undefined)).toBe(true);
      }
    }
  });

  it('has intervals around its means, as wide as the prompts differ', () => {
    for (const { name, quality, diversity, interval, tokensPerSecond } of report.points) {
      expect(interval.quality[0]).toBeLessThanOrEqual(quality);
      expect(interval.quality[1]).toBeGreaterThanOrEqual(quality);
      expect(interval.diversity[0]).toBeLessThan(diversity);
      expect(interval.diversity[1]).toBeGreaterThan(diversity);
      expect(tokensPerSecond).toBeGreaterThan(0);
      const values = samples.prompts.map((prompt, p) =>
        mean(samples.models[name]![p]!.map((frets) => (task.isValid(prompt, frets) ? 1 : 0))),
      );
      const variance = values.reduce((sum, value) => sum + (value - quality) ** 2, 0) / values.length;
      const normal = 2 * 1.96 * Math.sqrt(variance / values.length);
      const width = interval.quality[1] - interval.quality[0];
      expect(Math.abs(width - normal)).toBeLessThanOrEqual(0.2 * normal);
    }
  });

  it('can be recomputed from samples.json', () => {
    expect(Object.keys(samples.models).sort()).toEqual(report.points.map(({ name }) => name).sort());
    for (const { name, quality, independentDiversity, distinctValid } of report.points) {
      const model = samples.models[name]!;
      expect(model.map((own) => own.length)).toEqual(samples.prompts.map(() => report.samplesPerPrompt));
      expect(model.flat(2).filter((fret) => !(Number.isInteger(fret) && fret >= -2 && fret <= 15))).toEqual([]);
      const valid = model.map((own, p) => own.filter((frets) => task.isValid(samples.prompts[p]!, frets)));
      expect(quality).toBeCloseTo(mean(valid.map((own) => own.length / report.samplesPerPrompt)), 10);
      expect(distinctValid).toBeCloseTo(mean(valid.map((own) => new Set(own.map(String)).size)), 10);
      const differing = model.map((own) => meanOverPairs(own, stringsThatDiffer));
      expect(independentDiversity).toBeCloseTo(mean(differing), 10);
    }
    const [plain] = ofFamily('base');
    expect(plain!.distinctValid).toBeGreaterThan(0);
  });

  it('has the front that its points make', () => {
    const front = report.points.filter(({ quality, diversity }) => {
      return !report.points.some((other) => {
        const noWorse = other.quality >= quality && other.diversity >= diversity;
        return noWorse && (other.quality > quality || other.diversity > diversity);
      });
    });
    front.sort((a, b) => b.quality - a.quality);
    expect(report.front).toEqual(front.map(({ name }) => name));
    expect(report.front.length).toBeGreaterThan(1);
  });

  it('says what its checkpoints generate, and how far the embedder finds that apart', async () => {
    const encoder = await SequenceEncoder.load(at('whole', 'embedder.safetensors'));
    const embedder = new EncoderEmbedder(encoder);
    const prompts = samples.prompts.map((prompt) => task.encodePrompt(prompt));
    const { maxTokens, stopToken, answerTokens } = task;
    for (const [file, family] of [
      ['base.safetensors', 'base'],
      ['distilled-0.safetensors', 'distilled'],
    ] as const) {
      const point = ofFamily(family)[0]!;
      const model = await TransformerLM.load(at('whole', file));
      const generations: Int32Array[][] = prompts.map(() => []);
      const sampler = new Sampler(model, { seed: SEED, stopToken });
      for await (const { prompt, tokens } of sampler.generate(prompts, { samplesPerPrompt: 16, maxTokens })) {
        generations[prompt]!.push(tokens);
      }
      const frets = generations.map((own, p) => own.map((tokens) => task.toFrets(samples.prompts[p]!, tokens)));
      expect(frets).toEqual(samples.models[point.name]);
      const answers = generations.flat().map((tokens) => tokens.map((t) => (t < answerTokens ? t : stopToken)));
      const flat = await embedder.embed(answers);
      const { dimensions } = embedder;
      const rows = answers.map((_, i) => [...flat.subarray(i * dimensions, (i + 1) * dimensions)]);
      const dot = (a: number[], b: number[]) => a.reduce((sum, x, d) => sum + x * b[d]!, 0);
      const apart = (a: number[], b: number[]) => 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
      const diversities = prompts.map((_, p) => meanOverPairs(rows.slice(16 * p, 16 * (p + 1)), apart));
      expect(point.diversity).toBeCloseTo(mean(diversities), 5);
    }
  });
});

describe.skipIf(SANITIZED)('a demo that was interrupted', () => {
  it('stops cleanly in the middle of a stage, keeping the finished ones', () => {
    const [first, second] = interruptions as [Interrupted, Interrupted];
    for (const { code, stdout, stderr } of [first, second]) {
      expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
      expect(stderr).toContain('Stopping: finished stages are kept.');
      expect(stderr).toMatch(/cfgdistill: interrupted\n$/);
    }
    expect(first.stages).toEqual([]);
    expect(second.stages).toEqual(['base.json', 'distilled-0.json', 'embedder.json']);
  });

  it('ends with the report, the samples and the checkpoints of one that was not', () => {
    const untimed = ({ points, seconds, ...rest }: Report) => ({
      ...rest,
      stages: Object.keys(seconds),
      points: points.map(({ tokensPerSecond: _, ...point }) => point),
    });
    expect(untimed(readJson<Report>('parts', 'report.json'))).toEqual(untimed(report));
    expect(readdirSync(at('parts')).sort()).toEqual(readdirSync(at('whole')).sort());
    const same = readdirSync(at('whole')).filter((name) =>
      /^samples\.json$|^(base|embedder|distilled).*safetensors$/.test(name),
    );
    expect(same.length).toBeGreaterThanOrEqual(6);
    for (const name of same) {
      expect(readFileSync(at('parts', name)).equals(readFileSync(at('whole', name))), name).toBe(true);
    }
  });
});

describe.skipIf(SANITIZED)('an output folder', () => {
  function snapshot(path: string): Record<string, string> {
    const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return Object.fromEntries(
      files.map(({ parentPath, name }) => {
        const file = join(parentPath, name);
        return [file, `${statSync(file).mtimeMs} ${readFileSync(file, 'base64')}`];
      }),
    );
  }

  async function refused(output: string, message: RegExp, args: readonly string[]): Promise<void> {
    const before = snapshot(at(output));
    const { code, stdout, stderr } = await run(folder, ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(snapshot(at(output))).toEqual(before);
  }

  it('that holds something else is refused and left alone', async () => {
    mkdirSync(at('letters'));
    writeFileSync(at('letters', 'base.safetensors'), 'dear all');
    await refused(
      'letters',
      /output: .*"letters", which holds "base\.safetensors"; nothing in it was touched/,
      demo('letters'),
    );
  });

  it('of another seed, length or type is refused and left alone', async () => {
    const other = 'output: whole holds a run with other settings';
    await refused('whole', RegExp(`${other} \\(seed 5\\)`), ['demo', '--quick', '--seed', '6', '--output', 'whole']);
    await refused('whole', RegExp(`${other} \\(recipe of another kind\\)`), [
      'demo',
      '--seed',
      '5',
      '--output',
      'whole',
    ]);
    await refused('whole', RegExp(`${other} \\(compute float32\\)`), demo('whole', '--compute', 'bfloat16'));
  });

  it('that does not tell what it computed in is a float32 one', async () => {
    const { compute, ...older } = readJson<Record<string, unknown>>('whole', 'cfgdistill.json');
    expect(compute).toBe('float32');
    writeFileSync(at('whole', 'cfgdistill.json'), JSON.stringify(older));
    const message = /output: whole holds a run with other settings \(compute float32\)/;
    await refused('whole', message, demo('whole', '--compute', 'bfloat16'));
    const { code, stderr } = await run(folder, ...demo('whole', '--device', 'cpu', '--compute', 'float32'));
    expect(code).toBe(0);
    expect(stderr).toContain('Evaluation: done in an earlier run');
  });
});
