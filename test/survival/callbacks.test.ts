import { device, type Embedder, evaluate, Trainer, TransformerLM } from 'cfgdistill';
import { describe, expect, it } from 'vitest';
import { collectGarbage } from '../support/garbage.ts';
import { LOAD_LIBRARY, runScript } from '../support/script.ts';

const cpu = await device('cpu');
const CONFIG = { vocabularySize: 20, depth: 1, width: 16, heads: 2, maxPositions: 24 };
const prompts = [Int32Array.of(1, 2, 3), Int32Array.of(4, 5)];
const steady: Embedder = {
  dimensions: 2,
  embed: async (all) => Float32Array.from({ length: 2 * all.length }, () => 1),
};

const trainerWith = (embedder: Embedder) => {
  const base = new TransformerLM(CONFIG, { seed: 1 });
  return new Trainer({
    student: base.clone(),
    teacher: { model: base, guidance: { scale: 2, negative: Int32Array.of(0) } },
    diversity: { embedder, weight: 1 },
    samplesPerPrompt: 2,
    promptsPerStep: 2,
    maxTokens: 5,
    optimizer: { learningRate: 1e-3 },
  });
};

/** What a script needs to train a little model. */
const SETTING = `
  ${LOAD_LIBRARY}
  const { device, evaluate, Sampler, Trainer, TransformerLM } = cfgdistill;
  const config = { vocabularySize: 20, depth: 1, width: 16, heads: 2, maxPositions: 24 };
  const prompts = [Int32Array.of(1, 2, 3), Int32Array.of(4, 5)];
  const base = new TransformerLM(config, { seed: 1 });
  const steady = { dimensions: 2, embed: async (all) => new Float32Array(2 * all.length).fill(1) };
  const trainerWith = (embedder) => new Trainer({
    student: base.clone(), teacher: { model: base }, diversity: { embedder, weight: 1 },
    samplesPerPrompt: 2, promptsPerStep: 2, maxTokens: 5, optimizer: { learningRate: 1e-3 } });
  const judge = { quality: (_, own) => own.map(() => 1), valid: () => true, distance: () => 0, identity: () => '' };
  const generator = { name: 'base', family: 'base', parameters: {}, model: base, sampling: {} };
  const judging = { prompts, maxTokens: 5, samplesPerPrompt: 2, timingRounds: 1, embedder: steady, judge };
`;

describe('an error thrown by a callback', () => {
  it('of an embedder ends the step, which leaves no trace', async () => {
    const failing = [true, false, true, false, false];
    const moody: Embedder = {
      ...steady,
      embed(all) {
        if (failing.shift()) throw new RangeError('not now');
        return steady.embed(all);
      },
    };
    const [trainer, reference] = [trainerWith(moody), trainerWith(steady)];
    await collectGarbage();
    const losses: number[] = [];
    let used = 0;
    while (losses.length < 3) {
      try {
        for await (const { kl } of trainer.run(prompts, { steps: 1 })) losses.push(kl);
      } catch (error) {
        expect(error).toEqual(new RangeError('not now'));
      }
      await cpu.synchronize();
      used ||= cpu.memory().used;
      expect(cpu.memory().used).toBe(used);
    }
    const expected: number[] = [];
    for await (const { kl } of reference.run(prompts, { steps: 3 })) expected.push(kl);
    expect(losses).toEqual(expected);
  });

  it('of progress or of a judge ends an evaluation, and nothing stays in use', async () => {
    const model = new TransformerLM(CONFIG, { seed: 1 });
    const generator = { name: 'base', family: 'base' as const, parameters: {}, model, sampling: {} };
    const judge = {
      quality: (_: number, own: readonly Int32Array[]) => own.map(() => 1),
      valid: () => true,
      distance: () => 0,
      identity: () => '',
    };
    const options = { prompts, maxTokens: 5, samplesPerPrompt: 2, timingRounds: 1, embedder: steady, judge };
    await evaluate([generator], options);
    await cpu.synchronize();
    const { used } = cpu.memory();
    const refuse = () => {
      throw new RangeError('not now');
    };
    await expect(evaluate([generator], { ...options, onProgress: refuse })).rejects.toThrow('not now');
    await expect(evaluate([generator], { ...options, judge: { ...judge, quality: refuse } })).rejects.toThrow(
      'not now',
    );
    await cpu.synchronize();
    expect(cpu.memory().used).toBe(used);
  });

  it('of an abort listener is the process’s affair; the work ends with the reason', async () => {
    const { status, output } = await runScript(`(async () => {
      ${SETTING}
      process.on('uncaughtException', (error) => console.log('uncaught:', error.message));
      const controller = new AbortController();
      controller.signal.addEventListener('abort', () => { throw new RangeError('in a listener'); });
      const trainer = trainerWith({ ...steady, embed(all) { controller.abort(new Error('enough')); return steady.embed(all); } });
      try { for await (const _ of trainer.run(prompts, { steps: 3, signal: controller.signal })); } catch (error) { console.log(error.message); }
      for await (const { step } of trainer.run(prompts, { steps: 0 })) console.log(step);
      console.log(trainer.step);
    })()`);
    expect({ status, output: output.split('\n').sort() }).toEqual({
      status: 0,
      output: ['', '0', 'enough', 'uncaught: in a listener'],
    });
  });
});

describe('process.exit in a callback', () => {
  const places: [string, string][] = [
    [
      'an embedder',
      'for await (const _ of trainerWith({ ...steady, embed() { process.exit(9); } }).run(prompts, { steps: 3 }));',
    ],
    ['a step’s report', 'for await (const _ of trainerWith(steady).run(prompts, { steps: 3 })) process.exit(9);'],
    ['progress', 'await evaluate([generator], { ...judging, onProgress() { process.exit(9); } });'],
    ['a judge', 'await evaluate([generator], { ...judging, judge: { ...judge, distance() { process.exit(9); } } });'],
    [
      'an abort listener',
      `const controller = new AbortController();
       controller.signal.addEventListener('abort', () => process.exit(9));
       setTimeout(() => controller.abort(), 20);
       for await (const _ of trainerWith(steady).run(prompts, { steps: 1e6, signal: controller.signal }));`,
    ],
    ['a generation', 'for await (const _ of new Sampler(base).generate(prompts, { maxTokens: 9 })) process.exit(9);'],
    [
      'the midst of a timer',
      'setTimeout(() => process.exit(9), 25); for await (const _ of trainerWith(steady).run(prompts, { steps: 1e6 }));',
    ],
  ];
  it.each(places)('ends the process with its code: %s', async (_, script) => {
    const { status, signal, output } = await runScript(`(async () => { ${SETTING} ${script} })()`, { seconds: 20 });
    expect({ status, signal, output }).toEqual({ status: 9, signal: null, output: '' });
  });
});
