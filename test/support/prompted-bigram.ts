import type { Decoder, DecoderOptions, LanguageModel, Parameter, TokenBatch } from 'cfgdistill';
import { keep, operations, scope, Tensor } from 'cfgdistill';

const { add, embedding, reshape } = operations;

/**
 * A language model written outside the library: the logits after a token are a row of one table, plus a row of another
 * for the first token of the sequence. Small enough to enumerate.
 */
export class PromptedBigram implements LanguageModel<'float32'> {
  readonly vocabularySize: number;
  readonly table: Tensor;
  readonly promptTable: Tensor;

  constructor(vocabularySize: number, table: Float32Array, promptTable: Float32Array) {
    this.vocabularySize = vocabularySize;
    this.table = keep(Tensor.from(table, [vocabularySize, vocabularySize]));
    this.promptTable = keep(Tensor.from(promptTable, [vocabularySize, vocabularySize]));
  }

  parameters(): Parameter[] {
    return [
      { name: 'table', tensor: this.table },
      { name: 'promptTable', tensor: this.promptTable },
    ];
  }

  forward({ rows, positions, tokens, starts }: TokenBatch): Tensor {
    const first = new Int32Array(rows * positions).map((_, i) => {
      const row = Math.floor(i / positions);
      return tokens[row * positions + starts[row]!]!;
    });
    const after = embedding(this.table, Tensor.from(tokens, [rows * positions]));
    const prompted = embedding(this.promptTable, Tensor.from(first, [rows * positions]));
    return reshape(add(after, prompted), [rows, positions, this.vocabularySize]);
  }

  decoder({ rows, positions, tokens, starts }: TokenBatch, { samplesPerRow = 1 }: DecoderOptions): Decoder<'float32'> {
    const total = rows * samplesPerRow;
    const at = (r: number, position: number): number => tokens[Math.floor(r / samplesPerRow) * positions + position]!;
    const last = Int32Array.from({ length: total }, (_, r) => at(r, positions - 1));
    const first = Int32Array.from({ length: total }, (_, r) => at(r, starts[Math.floor(r / samplesPerRow)]!));
    const prompts = Tensor.from(first, [total]);
    const logitsAfter = (previous: Tensor<'int32'>): Tensor => {
      return scope(() => add(embedding(this.table, previous), embedding(this.promptTable, prompts)));
    };
    const made: Tensor[] = [logitsAfter(Tensor.from(last, [total]))];
    return {
      logits: made[0]!,
      step: (previous) => {
        made.push(logitsAfter(previous));
        return made.at(-1)!;
      },
      dispose: () => {
        for (const tensor of made) tensor.dispose();
        prompts.dispose();
      },
    };
  }
}
