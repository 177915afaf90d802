import type { Decoder, DecoderOptions, LanguageModel } from '../../lib/models/language-model.ts';
import type { Parameter } from '../../lib/models/parameter.ts';
import type { TokenBatch } from '../../lib/models/token-batch.ts';
import { Tensor } from '../../lib/tensor/tensor.ts';

/**
 * A language model that computes as another does, but whose samples are prescribed: sample i of a prompt is always
 * `script(prompt)[i]`. What is trained on its samples can then be computed elsewhere as well.
 */
export class ScriptedModel implements LanguageModel<'float32'> {
  readonly model: LanguageModel<'float32'>;
  readonly #script: (prompt: Int32Array) => readonly (readonly number[])[];

  constructor(model: LanguageModel<'float32'>, script: (prompt: Int32Array) => readonly (readonly number[])[]) {
    this.model = model;
    this.#script = script;
  }

  get vocabularySize(): number {
    return this.model.vocabularySize;
  }

  parameters(): Iterable<Parameter> {
    return this.model.parameters();
  }

  forward(batch: TokenBatch): Tensor {
    return this.model.forward(batch);
  }

  decoder({ rows, positions, tokens, starts }: TokenBatch, { samplesPerRow = 1 }: DecoderOptions): Decoder<'float32'> {
    const scripts = Array.from({ length: rows }, (_, r) => {
      const script = this.#script(tokens.subarray(r * positions + (starts[r] as number), (r + 1) * positions));
      if (script.length !== samplesPerRow) throw new Error(`a script of ${samplesPerRow} samples is wanted`);
      return script;
    }).flat();
    const vocab = this.vocabularySize;
    const made: Tensor[] = [];
    const logitsAt = (place: number): Tensor => {
      const values = new Float32Array(scripts.length * vocab).fill(-1e4);
      scripts.forEach((script, r) => {
        values[r * vocab + (script[place] ?? 1)] = 0;
      });
      const logits = Tensor.from(values, [scripts.length, vocab]);
      made.push(logits);
      return logits;
    };
    return {
      logits: logitsAt(0),
      step: () => logitsAt(made.length),
      dispose: () => {
        for (const tensor of made) tensor.dispose();
      },
    };
  }
}
