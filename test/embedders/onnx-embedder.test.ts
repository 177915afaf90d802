import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CheckpointError,
  DTypeError,
  OnnxEmbedder,
  type OnnxEmbedderOptions,
  ShapeError,
  ValueError,
} from 'cfgdistill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { matrixModel } from '../support/onnx-file.ts';

function isInstalled(name: string): boolean {
  try {
    return createRequire(import.meta.url).resolve(name) !== '';
  } catch {
    return false;
  }
}
const installed = isInstalled('onnxruntime-node');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cfgdistill-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

const matrix = Float32Array.of(1, 2, 0, -1, 0.5, 3, -2, 0, 1, 1, 1, 1);
const generations = [[0, 1, 2], [2], [1, 1, 0, 0], [2, 2], [1]].map((tokens) => Int32Array.from(tokens));

/** How often each of three tokens occurs. */
const features: OnnxEmbedderOptions['inputs'] = (part) => {
  const data = new Float32Array(3 * part.length);
  part.forEach((tokens, row) => {
    for (const token of tokens) data[3 * row + token]! += 1;
  });
  return { features: { data, shape: [part.length, 3] } };
};
const expected = generations.flatMap((tokens) =>
  [0, 1, 2, 3].map((column) => tokens.reduce((sum, token) => sum + matrix[4 * token + column]!, 0)),
);

async function file(options: Parameters<typeof matrixModel>[2] = {}): Promise<string> {
  const path = join(folder, `${JSON.stringify(options).replaceAll(/\W/g, '-')}.onnx`);
  await writeFile(path, matrixModel(matrix, [3, 4], options));
  return path;
}

it('refuses options before anything is loaded', async () => {
  const load = (options: object) => OnnxEmbedder.load('no.onnx', { inputs: features, ...options });
  await expect(load({ inputs: undefined })).rejects.toThrow('inputs: expected a function, got undefined');
  await expect(load({ batchSize: 0 })).rejects.toThrow('batchSize: expected an integer of at least 1, got 0');
  await expect(load({ dimensions: 1.5 })).rejects.toThrow('dimensions: expected an integer of at least 1, got 1.5');
});

if (installed) console.warn('skipped: what is said where onnxruntime-node is missing: it is installed');
else console.warn('skipped: ONNX models: onnxruntime-node, an optional package, is not installed');
it.skipIf(installed)('says what to install where the runtime is missing', async () => {
  await expect(OnnxEmbedder.load(await file(), { inputs: features })).rejects.toThrow(
    'onnxruntime-node: is needed for ONNX models and is not installed: npm install onnxruntime-node',
  );
});

describe.skipIf(!installed)('OnnxEmbedder with onnxruntime-node', () => {
  it.each([1, 2, 32])('gives what the model gives, %d generations at a time', async (batchSize) => {
    const sizes: number[] = [];
    const embedder = await OnnxEmbedder.load(await file(), {
      inputs: (part, signal) => {
        sizes.push(part.length);
        return features(part, signal);
      },
      batchSize,
    });
    expect(embedder.dimensions).toBe(4);
    expect([...(await embedder.embed(generations))]).toEqual(expected);
    expect(Math.max(...sizes)).toBe(Math.min(batchSize, 5));
    expect(await embedder.embed([])).toEqual(new Float32Array(0));
    await embedder.dispose();
  });

  it('takes the output that is named', async () => {
    const path = await file({ secondOutput: true });
    await expect(OnnxEmbedder.load(path, { inputs: features })).rejects.toThrow(
      'output: expected one of embedding, positive, got none',
    );
    const embedder = await OnnxEmbedder.load(path, { inputs: features, output: 'positive' });
    expect([...(await embedder.embed(generations))]).toEqual(expected.map((x) => Math.max(0, x)));
    await expect(OnnxEmbedder.load(path, { inputs: features, output: 'other' })).rejects.toThrow(
      'output: expected one of embedding, positive, got other',
    );
  });

  it('needs the dimensions where the model does not say them, and checks them', async () => {
    const path = await file({ matrixGiven: true });
    const inputs: OnnxEmbedderOptions['inputs'] = async (part) => {
      return { ...(await features(part)), matrix: { data: matrix, shape: [3, 4] } };
    };
    await expect(OnnxEmbedder.load(path, { inputs })).rejects.toThrow(
      'dimensions: expected it to be given, as the model does not say how wide embedding is',
    );
    const embedder = await OnnxEmbedder.load(path, { inputs, dimensions: 4 });
    expect([...(await embedder.embed(generations))]).toEqual(expected);
    const wrong = await OnnxEmbedder.load(path, { inputs, dimensions: 5 });
    await expect(wrong.embed(generations)).rejects.toThrow('embedding: expected [5, 5] = 25 elements, got 20');
  });

  it('refuses inputs that do not fit, and what is not finite', async () => {
    const using = async (inputs: object) => {
      const embedder = await OnnxEmbedder.load(await file(), { inputs: async () => inputs as never });
      return embedder.embed(generations.slice(0, 1));
    };
    const data = new Float32Array(3);
    await expect(using({ other: { data, shape: [1, 3] } })).rejects.toThrow('inputs: expected features, got other');
    await expect(using({})).rejects.toThrow('inputs: expected features, got none');
    await expect(using({ features: { data, shape: [2, 3] } })).rejects.toThrow(ShapeError);
    await expect(using({ features: { data: [1, 2, 3], shape: [1, 3] } })).rejects.toThrow(DTypeError);
    await expect(using({ features: { data: new Int32Array(3), shape: [1, 3] } })).rejects.toThrow(
      /^inputs: ONNX Runtime cannot run the model: /,
    );
    await expect(using({ features: { data: new Float32Array(4), shape: [1, 4] } })).rejects.toThrow(ValueError);
    await expect(using({ features: { data: data.fill(NaN), shape: [1, 3] } })).rejects.toThrow(
      'embedding: expected finite embeddings, got NaN at [0, 0]',
    );
  });

  it('refuses files that hold no model', async () => {
    const path = join(folder, 'text.onnx');
    await writeFile(path, 'no model');
    for (const wrong of [path, join(folder, 'missing.onnx')]) {
      await expect(OnnxEmbedder.load(wrong, { inputs: features })).rejects.toThrow(CheckpointError);
    }
  });

  it('stops between batches when its signal aborts', async () => {
    const abort = new AbortController();
    const embedder = await OnnxEmbedder.load(await file(), {
      inputs: (part) => {
        abort.abort(new Error('enough'));
        return features(part);
      },
      batchSize: 2,
    });
    await expect(embedder.embed(generations, abort.signal)).rejects.toThrow('enough');
  });
});
